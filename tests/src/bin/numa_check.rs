//! Checks binding and first touch where there are several NUMA domains: run by `tests/numa_machine.sh`.
//!
//! Prints a line for each thing that holds, or says what is wrong. The system is asked where threads and pages are
//! (hwloc's last location of a thread and location of an area), nobody here.

use girih_arrays::{Array, DType, Scalar};
use girih_runtime::config::Config;
use girih_runtime::graph::Access;
use girih_runtime::ids::Rank;
use girih_runtime::topology::Machine;
use girih_runtime::world::World;
use hwlocality::Topology;
use hwlocality::cpu::binding::CpuBindingFlags;
use hwlocality::memory::binding::MemoryBindingFlags;
use hwlocality::object::types::ObjectType;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

type Checked<T = ()> = Result<T, String>;

/// Huge pages that two blocks share are a small part of such a block.
const TILE_BYTES: usize = 4 << 20;
const PAGE_BYTES: usize = 4096;
const TILES: usize = 16;
const NOWHERE: usize = usize::MAX;

fn main() -> ExitCode {
    match check() {
        Ok(()) => {
            say("ok: binding and first touch hold");
            ExitCode::SUCCESS
        }
        Err(text) => {
            say(&format!("failed: {text}"));
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, reason = "this is a program")]
fn say(line: &str) {
    println!("{line}");
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

fn check() -> Checked {
    let machine = Machine::detect().map_err(text)?;
    if machine.domains.len() < 2 {
        return Err(format!("needs a machine of several NUMA domains, this one has {}", machine.domains.len()));
    }
    let nodes: Vec<usize> =
        machine.domains.iter().filter_map(|domain| domain.os_index).map(|node| node as usize).collect();
    let cores: Vec<usize> = machine.domains.iter().map(|domain| domain.cores.len()).collect();
    say(&format!("domains {nodes:?} with {cores:?} cores"));
    let world = World::solo(Config::default()).map_err(text)?;
    workers_are_bound(&world, &machine)?;
    // The second time the blocks come from those kept.
    for round in ["fresh", "recycled"] {
        blocks_lie_where_they_were_written_first(&world, &nodes, round)?;
    }
    rows_lie_with_the_domain_of_their_tiles(&world, &nodes)?;
    world.shut_down().map_err(text)
}

/// Each worker is bound to its core, as the system says, and each domain has workers.
fn workers_are_bound(world: &World, machine: &Machine) -> Checked {
    let placement = world.placement();
    for (worker, (place, binding)) in placement.workers.iter().zip(world.bindings()).enumerate() {
        if binding.as_ref() != Some(&place.units) {
            return Err(format!("worker {worker} was to be bound to {} and is bound to {binding:?}", place.units));
        }
    }
    let counts = placement.workers_per_domain(machine.domains.len());
    if counts.contains(&0) {
        return Err(format!("workers by domain: {counts:?}"));
    }
    say(&format!("workers by domain {counts:?}, each bound as planned"));
    Ok(())
}

fn topology() -> &'static Topology {
    static TOPOLOGY: OnceLock<Topology> = OnceLock::new();
    TOPOLOGY.get_or_init(|| Topology::new().expect("hwloc reads this machine"))
}

/// The domain whose core runs this thread.
fn domain_of_this_thread() -> usize {
    let Ok(here) = topology().last_cpu_location(CpuBindingFlags::THREAD) else { return NOWHERE };
    let nodes = topology().objects_with_type(ObjectType::NUMANode);
    let near = |node: &&hwlocality::object::TopologyObject| node.cpuset().is_some_and(|set| set.includes(&here));
    nodes.into_iter().find(near).and_then(|node| node.os_index()).unwrap_or(NOWHERE)
}

/// The domain of each page of a run of bytes.
fn domains_of_pages(bytes: &[u8]) -> Checked<Vec<usize>> {
    let domain = |page: &[u8]| {
        let set: hwlocality::memory::nodeset::NodeSet =
            topology().area_memory_location(&page[..1], MemoryBindingFlags::empty()).map_err(text)?;
        Ok(set.first_set().map_or(NOWHERE, usize::from))
    };
    bytes.chunks(PAGE_BYTES).map(domain).collect()
}

/// Pages of a block lie in the domain of the worker that wrote them first, which is nearly always the tile's.
fn blocks_lie_where_they_were_written_first(world: &World, nodes: &[usize], round: &str) -> Checked {
    let mut graph = world.graph("first touch");
    let ran: Arc<Vec<AtomicUsize>> = Arc::new((0..TILES).map(|_| AtomicUsize::new(NOWHERE)).collect());
    let mut blocks = Vec::new();
    for tile in 0..TILES {
        let block = graph.block(Rank(0), TILE_BYTES).map_err(text)?;
        let (domain, ran) = (world.domain_of_tile(tile, TILES), Arc::clone(&ran));
        let body = move || -> girih_runtime::graph::Body {
            Box::new(move |context| {
                context.write(0).fill(tile as u8);
                ran[tile].store(domain_of_this_thread(), Relaxed); // Relaxed: read after the epoch
                Ok(())
            })
        };
        graph.task("touch", Rank(0), domain, &[Access::Write(block)], body).map_err(text)?;
        blocks.push(block);
    }
    let graph = Arc::new(graph.finish().map_err(text)?);
    world.run(&graph).map_err(text)?;
    let (mut pages, mut with_writer, mut as_planned) = (0, 0, 0);
    for (tile, &block) in blocks.iter().enumerate() {
        let found = domains_of_pages(&graph.cell(block).read())?;
        let writer = ran[tile].load(Relaxed); // Relaxed: the epoch has ended
        let planned = nodes[world.domain_of_tile(tile, TILES)];
        pages += found.len();
        with_writer += found.iter().filter(|&&domain| domain == writer).count();
        as_planned += found.iter().filter(|&&domain| domain == planned).count();
    }
    let [with_writer, as_planned] = [with_writer, as_planned].map(|count| 100 * count / pages);
    say(&format!(
        "{round} blocks: of {pages} pages {with_writer} % lie with who wrote them, {as_planned} % with their tile"
    ));
    // What is recycled lies where it was written the first time. A worker whose domain is dry takes tasks of another.
    if (round == "fresh" && with_writer < 90) || as_planned < 75 {
        return Err(format!("{round} blocks lie elsewhere"));
    }
    Ok(())
}

/// The rows of an array are one slab, of which each domain holds the pages of its tiles.
fn rows_lie_with_the_domain_of_their_tiles(world: &World, nodes: &[usize]) -> Checked {
    let rows = TILES * TILE_BYTES / 8;
    let ones = Array::full(world, &[rows], Scalar::Float(1.0), DType::Float64).map_err(text)?;
    ones.wait().map_err(text)?;
    let tiles = ones.tiles().map_err(text)?;
    let (mut pages, mut right) = (0, 0);
    for (index, tile) in tiles.iter().enumerate() {
        let planned = nodes[world.domain_of_tile(index, tiles.len())];
        let found = domains_of_pages(&tile.cell.read())?;
        pages += found.len();
        right += found.iter().filter(|&&domain| domain == planned).count();
    }
    let share = 100 * right / pages;
    say(&format!("rows of an array: {share} % of {pages} pages lie with the domain of their tile"));
    if share < 75 {
        return Err("rows lie elsewhere".to_string());
    }
    Ok(())
}

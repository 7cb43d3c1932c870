//! Communication on girih's runtime: loops of all-reduces, what hides behind computation, and what idling costs.
//!
//! `peers/communication_mpi.c` does the same on MPI alone. Both print one line a round, on rank 0; `overlap.py` and
//! `idle.py` read them. Every result is checked: sums against their formula, the Jacobi sweep by the bits of its field.

use clap::{Parser, Subcommand};
use girih_runtime::comm::Reduction;
use girih_runtime::config::Config;
use girih_runtime::error::{Error, Result};
use girih_runtime::graph::{Access, Graph, GraphBuilder};
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::world::World;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use task_graph::kernel;

#[derive(Parser)]
#[command(about = "Communication on girih: loops, overlap, idleness")]
struct Options {
    #[command(subcommand)]
    what: What,
    /// Workers of each rank; without it, one for each core of the rank.
    #[arg(long, global = true)]
    threads: Option<usize>,
    /// Directory of the MPI plug-ins.
    #[arg(long, global = true, default_value = "bindings/python/girih/_mpi")]
    plugins: PathBuf,
}

#[derive(Subcommand, Clone, Copy)]
enum What {
    /// Prints how many iterations of the kernel one millisecond takes.
    Calibrate,
    /// Microseconds of an all-reduce in a loop: `rounds` times so many of so many words.
    Loop { words: usize, count: usize, rounds: usize },
    /// An all-reduce beside computation in pieces: seconds of the computation, of the all-reduce, of both, and then the
    /// processor's seconds of each.
    AllReduce { bytes: usize, pieces: usize, iterations: u32, rounds: usize },
    /// Sweeps of a 3-D Jacobi stencil: the same of the computation, of the messages, of both.
    Halo { planes: usize, side: usize, sweeps: usize, rounds: usize },
    /// The share of a core that each rank of an open world uses while nothing happens.
    Idle { seconds: f64 },
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let What::Calibrate = options.what {
        say(&calibrate().to_string());
        return ExitCode::SUCCESS;
    }
    let config = Config { threads: options.threads, ..Config::default() };
    let outcome = World::join(config, options.plugins).and_then(|world| {
        let lines = measure(&world, options.what)?;
        world.shut_down()?;
        Ok(lines)
    });
    match outcome {
        Ok(lines) => {
            lines.iter().for_each(|line| say(line));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("communication: {error}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, reason = "the result of a command")]
fn say(line: &str) {
    println!("{line}");
}

/// Iterations of the kernel in a millisecond: of several tries the most.
fn calibrate() -> u32 {
    let iterations = 200_000;
    let rate = |_| {
        let begin = Instant::now();
        kernel(iterations);
        f64::from(iterations) / begin.elapsed().as_secs_f64() / 1e3
    };
    (0..9).map(rate).fold(0.0, f64::max) as u32
}

fn measure(world: &World, what: What) -> Result<Vec<String>> {
    let lines = match what {
        What::Calibrate => Vec::new(),
        What::Loop { words, count, rounds } => all_reduce_loop(world, words, count, rounds)?,
        What::AllReduce { bytes, pieces, iterations, rounds } => {
            let built = [(true, false), (false, true), (true, true)].map(|(work, message)| {
                beside_all_reduce(world, bytes, pieces, iterations, work, message)
                    .map(|(graph, block)| (Arc::new(graph), block))
            });
            let [work, message, both] = built;
            let (work, message, both) = (work?, message?, both?);
            let graphs = [&work, &message, &both].map(|(graph, _)| Arc::clone(graph));
            let lines = in_turns(world, graphs, rounds)?;
            for (graph, block) in [message, both] {
                check_maxima(world, &graph, block.expect("it was reduced"));
            }
            lines
        }
        What::Halo { planes, side, sweeps, rounds } => {
            let field = Field { planes, side, sweeps };
            let built =
                [field.graph(world, true, false)?, field.graph(world, false, true)?, field.graph(world, true, true)?];
            let [work, messages, both] = built.map(|(graph, blocks)| (Arc::new(graph), blocks));
            let mut lines = in_turns(world, [work.0, messages.0, Arc::clone(&both.0)], rounds)?;
            lines.push(format!("checksum {}", field.checksum(world, &both.0, &both.1)?));
            lines
        }
        What::Idle { seconds } => idle(world, seconds)?,
    };
    Ok(if world.rank() == Rank(0) { lines } else { Vec::new() })
}

/// The time of one launch, from when all ranks are ready until the last has ended, and the most processor time that a
/// rank took for it.
fn launch(world: &World, graph: &Arc<Graph>) -> Result<[f64; 2]> {
    world.barrier()?;
    let (begin, used) = (Instant::now(), processor_seconds());
    world.run_again(graph)?;
    let (mine, used) = (begin.elapsed(), processor_seconds() - used);
    let most = |seconds: f64| Ok::<_, Error>(world.max((seconds * 1e9) as i64)? as f64 / 1e9);
    Ok([most(mine.as_secs_f64())?, most(used)?])
}

/// One line for each round, with the seconds of each graph, after a round that does not count.
fn in_turns(world: &World, graphs: [Arc<Graph>; 3], rounds: usize) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for round in 0..=rounds {
        let [work, message, both] =
            [launch(world, &graphs[0])?, launch(world, &graphs[1])?, launch(world, &graphs[2])?];
        if round > 0 {
            let [times, used] = [0, 1].map(|it| format!("{:.9} {:.9} {:.9}", work[it], message[it], both[it]));
            lines.push(format!("{times} {used}"));
        }
    }
    Ok(lines)
}

fn blocks(world: &World, graph: &mut GraphBuilder, bytes: usize) -> Result<Vec<BlockId>> {
    (0..world.size()).map(|rank| graph.block(Rank::from(rank), bytes)).collect()
}

/// A block of each rank, filled with a formula of rank and index before the clock starts.
fn given(world: &World, graph: &mut GraphBuilder, bytes: usize) -> Result<Vec<BlockId>> {
    let cell = world.memory().block(bytes)?;
    cell.write()
        .of_mut()
        .iter_mut()
        .enumerate()
        .for_each(|(index, word)| *word = index as i64 * (1 + i64::from(world.rank().0)));
    let bind = |rank| graph.bind(Rank::from(rank), bytes, (rank == world.rank().index()).then(|| Arc::clone(&cell)));
    Ok((0..world.size()).map(bind).collect())
}

fn all_reduce_loop(world: &World, words: usize, count: usize, rounds: usize) -> Result<Vec<String>> {
    let mut graph = world.graph("loop");
    let blocks = blocks(world, &mut graph, 8 * (words + 1))?;
    for (rank, &block) in blocks.iter().enumerate() {
        graph.task("ones", Rank::from(rank), 0, &[Access::Write(block)], || {
            Box::new(|context| {
                context.write(0).of_mut::<i64>().fill(1);
                Ok(())
            })
        })?;
    }
    graph.all_reduce_and_agree(&blocks);
    let graph = Arc::new(graph.finish()?);
    let mut lines = Vec::new();
    for round in 0..=rounds {
        world.barrier()?;
        let begin = Instant::now();
        for _ in 0..count {
            world.run_again(&graph)?;
            let sum = graph.cell(blocks[world.rank().index()]).read().of::<i64>()[0];
            assert_eq!(sum, world.size() as i64, "an all-reduce of ones");
        }
        let mine = begin.elapsed().as_nanos() as i64;
        let nanos = world.max(mine)?;
        if round > 0 {
            lines.push(format!("{:.3}", nanos as f64 / 1e3 / count as f64));
        }
    }
    Ok(lines)
}

/// Pieces of computation that have nothing to do with an all-reduce beside them.
fn beside_all_reduce(
    world: &World,
    bytes: usize,
    pieces: usize,
    iterations: u32,
    work: bool,
    message: bool,
) -> Result<(Graph, Option<BlockId>)> {
    let mut graph = world.graph("all-reduce");
    let mut reduced = None;
    if message {
        let blocks = given(world, &mut graph, bytes)?;
        graph.all_reduce(Reduction::MaxI64, &blocks);
        reduced = Some(blocks[world.rank().index()]);
    }
    for _ in 0..if work { pieces } else { 0 } {
        for (rank, block) in blocks(world, &mut graph, 8)?.into_iter().enumerate() {
            graph.task("piece", Rank::from(rank), 0, &[Access::Write(block)], || {
                Box::new(move |_| {
                    kernel(iterations);
                    Ok(())
                })
            })?;
        }
    }
    Ok((graph.finish()?, reduced))
}

/// The greatest of index × (1 + rank) over the ranks is that of the last.
fn check_maxima(world: &World, graph: &Graph, block: BlockId) {
    let cell = graph.cell(block).read();
    let wrong = cell.of::<i64>().iter().zip(0..).position(|(&word, index)| word != index * world.size() as i64);
    assert_eq!(wrong, None, "a word of an all-reduce is wrong");
}

/// A box of `planes` planes on each rank, of which a rank needs one from each neighbour for every sweep.
struct Field {
    planes: usize,
    side: usize,
    sweeps: usize,
}

impl Field {
    /// The sweeps as one graph over two versions of every plane; with the blocks of both.
    ///
    /// Without `work` only the planes at the seams are visited, and not computed; without `messages` seams are walls.
    fn graph(&self, world: &World, work: bool, messages: bool) -> Result<(Graph, Vec<BlockId>)> {
        let (all, side) = (self.planes * world.size(), self.side);
        let mut graph = world.graph("jacobi");
        let owner = |plane: usize| Rank::from(plane / self.planes);
        let bytes = 8 * side * side;
        let mut blocks = Vec::new();
        for version in 0..2 {
            for plane in 0..all {
                let here = owner(plane) == world.rank();
                let cell = here.then(|| world.memory().block(bytes)).transpose()?;
                if let Some(cell) = &cell {
                    cell.write().of_mut::<f64>().iter_mut().enumerate().for_each(|(index, value)| {
                        *value = if version == 0 { start(plane, index) } else { 0.0 };
                    });
                }
                blocks.push(graph.bind(owner(plane), bytes, cell));
            }
        }
        let near = |plane: usize, other: usize| if messages || owner(plane) == owner(other) { other } else { plane };
        for sweep in 0..self.sweeps {
            let [from, to] = if sweep % 2 == 0 { [0, all] } else { [all, 0] };
            for plane in 0..all {
                let [below, above] = [near(plane, plane.saturating_sub(1)), near(plane, (plane + 1).min(all - 1))];
                let seam = owner(below) != owner(plane) || owner(above) != owner(plane);
                if !work && !seam {
                    continue;
                }
                let mut accesses = vec![Access::Write(blocks[to + plane]), Access::Read(blocks[from + plane])];
                accesses.extend(
                    [below, above]
                        .iter()
                        .filter(|&&other| other != plane)
                        .map(|&other| Access::Read(blocks[from + other])),
                );
                let places = [below, above].map(|other| if other == plane { 1 } else { 2 });
                let places = if places == [2, 2] { [2, 3] } else { places };
                graph.task("plane", owner(plane), 0, &accesses, || {
                    Box::new(move |context| {
                        if work {
                            let (centre, below, above) =
                                (context.read(1), context.read(places[0]), context.read(places[1]));
                            relax(side, centre.of(), below.of(), above.of(), context.write(0).of_mut());
                        }
                        Ok(())
                    })
                })?;
            }
        }
        Ok((graph.finish()?, blocks))
    }

    /// The bits of the whole field, added up over all ranks.
    fn checksum(&self, world: &World, graph: &Graph, blocks: &[BlockId]) -> Result<i64> {
        let all = self.planes * world.size();
        let version = if self.sweeps % 2 == 0 { 0 } else { all };
        let mine = world.rank().index() * self.planes..(world.rank().index() + 1) * self.planes;
        let bits = mine.flat_map(|plane| graph.cell(blocks[version + plane]).read().of::<i64>().to_vec());
        let mut sum = [bits.fold(0_i64, i64::wrapping_add)];
        world.all_reduce(Reduction::SumI64, &mut sum)?;
        Ok(sum[0])
    }
}

fn start(plane: usize, index: usize) -> f64 {
    ((plane * 31 + index * 17) % 1024) as f64
}

/// One plane of a sweep; the rim of a plane stays as it is.
fn relax(side: usize, centre: &[f64], below: &[f64], above: &[f64], out: &mut [f64]) {
    out[..side].copy_from_slice(&centre[..side]);
    out[side * (side - 1)..].copy_from_slice(&centre[side * (side - 1)..]);
    for row in 1..side - 1 {
        let (north, here, south) =
            (&centre[(row - 1) * side..][..side], &centre[row * side..][..side], &centre[(row + 1) * side..][..side]);
        let (under, over) = (&below[row * side..][..side], &above[row * side..][..side]);
        let out = &mut out[row * side..][..side];
        (out[0], out[side - 1]) = (here[0], here[side - 1]);
        for x in 1..side - 1 {
            out[x] = (here[x - 1] + here[x + 1] + north[x] + south[x] + under[x] + over[x] + 2.0 * here[x]) * 0.125;
        }
    }
}

/// The share of a core used between two moments of an open world, by rank.
fn idle(world: &World, seconds: f64) -> Result<Vec<String>> {
    all_reduce_loop(world, 1, 100, 1)?;
    world.barrier()?;
    // Until the other ranks have left the barrier too.
    std::thread::sleep(Duration::from_millis(300));
    let before = processor_seconds();
    std::thread::sleep(Duration::from_secs_f64(seconds));
    let share = (processor_seconds() - before) / seconds;
    let shares = world.all_gather_bytes(share.to_ne_bytes().to_vec())?;
    let share = |bytes: Vec<u8>| {
        bytes.try_into().map(f64::from_ne_bytes).map_err(|_| Error::Config("a share is a number".into()))
    };
    shares.into_iter().map(|bytes| Ok(format!("{:.6}", share(bytes)?))).collect()
}

/// Processor time of all threads of this process so far.
fn processor_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux describes every process");
    let nanos = |folder: std::path::PathBuf| {
        let text = std::fs::read_to_string(folder.join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0)
    };
    tasks.filter_map(std::result::Result::ok).map(|task| nanos(task.path())).sum::<f64>() / 1e9
}

//! A launch receives no more at a time than its memory admits, and gives program order all the same.

use girih_runtime::config::Config;
use girih_runtime::error::Error;
use girih_runtime::graph::Access::{Read, Write};
use girih_runtime::graph::{Graph, GraphBuilder};
use girih_runtime::ids::Rank;
use girih_runtime::local;
use girih_runtime::memory::Memory;
use girih_runtime::stepwise::Turns;
use girih_runtime::world::World;
use girih_tests::random_graph::{Program, Recorded};
use std::sync::{Arc, Mutex};

/// Blocks of rank 0 that all other ranks read, one after another.
const PARTS: usize = 96;
const PART_BYTES: usize = 4096;
/// A quarter of it is room for 32 of them.
const BYTES_MAX: usize = 512 << 10;
const ROOMS: usize = BYTES_MAX / 4 / PART_BYTES;

/// Every rank but the first adds up what lies in all parts, which grow from launch to launch.
fn fan(world: &World) -> Result<(Graph, girih_runtime::ids::BlockId), Error> {
    let mut graph = world.graph("fan");
    let sums = (0..world.size()).map(|rank| graph.block(Rank::from(rank), 8)).collect::<Result<Vec<_>, _>>()?;
    let parts = (0..PARTS).map(|_| graph.block(Rank(0), PART_BYTES)).collect::<Result<Vec<_>, _>>()?;
    for (number, &part) in parts.iter().enumerate() {
        graph.task("grow", Rank(0), 0, &[Write(part)], || {
            Box::new(move |context| {
                context.write(0).of_mut::<i64>()[1] += number as i64;
                Ok(())
            })
        })?;
        for (rank, &sum) in sums.iter().enumerate().skip(1) {
            graph.task("add", Rank::from(rank), 0, &[Write(sum), Read(part)], || {
                Box::new(|context| {
                    context.write(0).of_mut::<i64>()[0] += context.read(1).of::<i64>()[1];
                    Ok(())
                })
            })?;
        }
    }
    let sum = sums[world.rank().index()];
    Ok((graph.finish()?, sum))
}

#[test]
fn blocks_that_come_share_so_many_rooms() {
    for (ranks, seed) in [(2, 0), (2, 7), (3, 8), (5, 9)] {
        let config = Config { threads: Some(2), bytes_max: Some(BYTES_MAX), bind: false, ..Config::default() };
        let found = local::run_with(ranks, seed, &config, |world| {
            let (graph, sum) = fan(world)?;
            let held = graph.outline(world.rank()).bytes_held;
            let graph = Arc::new(graph);
            for _ in 0..3 {
                world.run_again(&graph)?;
            }
            let sum = graph.cell(sum).read().of::<i64>()[0];
            Ok::<_, Error>((held, sum))
        });
        let numbers = (PARTS * (PARTS - 1) / 2) as i64;
        for (rank, outcome) in found.expect("the worlds start").into_iter().enumerate() {
            let parts = if rank == 0 { PARTS } else { ROOMS };
            // Beside the parts lie a sum and the word of the agreement.
            let expected = (parts * PART_BYTES + 16, if rank == 0 { 0 } else { numbers * (1 + 2 + 3) });
            assert_eq!(outcome.expect("there is room"), expected, "rank {rank} of {ranks}");
        }
    }
}

/// Words of a cell that is too long for a parcel.
const LONG_WORDS: usize = 64;
/// What a rank has beside its four cells and the most that it may have to hold of the others': for agreements.
const BESIDE: usize = 1024;

/// Random programs on long cells, run with little memory beyond what lies at home.
#[track_caller]
fn check(seeds: std::ops::Range<u64>, ranks: usize, workers: usize) {
    // A quarter is room for one cell of each rank, of four.
    let little = 4 * 8 * LONG_WORDS * ranks + BESIDE;
    let mut saved = 0;
    for seed in seeds {
        let (program, epochs) = (Program::random(seed, ranks).of_words(LONG_WORDS), 1 + seed as usize % 3);
        let recorded = Mutex::new(Vec::new());
        let record = |builder: GraphBuilder, _: &Arc<Memory>| {
            let rank = builder.rank();
            let held = |memory: &Arc<Memory>| {
                let part = program.record(GraphBuilder::new("random", rank, ranks, Arc::clone(memory)), memory)?;
                let held = part.graph.outline(rank).bytes_held;
                Ok::<_, Error>((part, held))
            };
            let (_, all) = held(&Memory::new(64 * little))?;
            let (part, few) = held(&Memory::new(little))?;
            assert!(few <= all, "seed {seed}: rooms take {few} bytes instead of {all}");
            let graph = Arc::clone(&part.graph);
            recorded.lock().expect("one thread").push((part, all - few));
            Ok(graph)
        };
        Turns { ranks, workers, seed }.run(epochs, record).expect("every graph ends");
        let expected = program.serial(epochs);
        let parts = recorded.into_inner().expect("one thread");
        saved += parts.iter().map(|(_, saved)| saved).sum::<usize>();
        for (cell, value) in parts.iter().flat_map(|(part, _): &(Recorded, usize)| part.cells()) {
            assert_eq!(value, expected[cell], "seed {seed}, {ranks} ranks of {workers}, cell {cell}");
        }
    }
    assert!(saved > 0, "no receive of {ranks} ranks waited for room");
}

#[test]
fn receives_that_wait_for_room_give_program_order() {
    check(1..150, 2, 2);
    check(1000..1150, 3, 1);
    check(2000..2150, 5, 2);
    check(3000..3100, 8, 1);
}

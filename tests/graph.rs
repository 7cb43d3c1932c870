//! Random graphs on one to six ranks give what program order gives, whatever is stolen and delivered when.

use girih_runtime::comm::Reduction;
use girih_runtime::error::Error;
use girih_runtime::graph::Access;
use girih_runtime::ids::Rank;
use girih_runtime::local;
use girih_tests::random_graph::{Program, count_ranks};
use std::sync::Arc;

#[track_caller]
fn check(seeds: std::ops::Range<u64>, ranks: usize, threads: usize) {
    for seed in seeds {
        let program = Program::random(seed, ranks);
        let expected = program.serial(2);
        let parts = local::run(ranks, threads, seed, |world| program.run(world, 2)).expect("the worlds start");
        for (cell, value) in parts.into_iter().flat_map(|part| part.expect("no rank fails")) {
            assert_eq!(value, expected[cell], "seed {seed}, {ranks} ranks, cell {cell}");
        }
    }
}

#[test]
fn one_rank_gives_program_order() {
    check(1..60, 1, 2);
}

#[test]
fn two_ranks_give_program_order() {
    check(100..200, 2, 2);
}

#[test]
fn three_ranks_give_program_order() {
    check(200..300, 3, 1);
}

#[test]
fn six_ranks_give_program_order() {
    check(300..340, 6, 1);
}

#[test]
fn immediate_delivery_gives_program_order() {
    check(0..1, 4, 2);
}

#[test]
fn a_failed_task_fails_every_rank_and_the_world_goes_on() {
    let outcomes =
        local::run(3, 1, 7, |world| (count_ranks(world, true), count_ranks(world, false))).expect("the worlds start");
    for (rank, (failed, recovered)) in outcomes.into_iter().enumerate() {
        let error = failed.expect_err("every rank fails");
        assert!(error.to_string().contains("rank 1 was told to fail"), "{error}");
        assert_eq!(matches!(error, Error::Remote { rank: Rank(1), .. }), rank != 1, "{error}");
        assert_eq!(recovered.expect("the next graph runs"), 3);
    }
}

#[test]
fn a_failure_outside_of_graphs_is_heard_in_the_next_message() {
    let outcomes = local::run(2, 1, 0, |world| {
        if world.rank() == Rank(1) {
            world.fail_next("the caller gave up".to_string());
        }
        let mut graph = world.graph("next");
        let blocks = [graph.block(Rank(0), 8)?, graph.block(Rank(1), 8)?];
        graph.all_reduce(Reduction::MaxI64, &blocks);
        world.run(&Arc::new(graph.finish()?))
    })
    .expect("the worlds start");
    for outcome in outcomes {
        assert!(outcome.expect_err("both ranks fail").to_string().contains("the caller gave up"));
    }
}

#[test]
fn bytes_travel_outside_of_graphs() {
    local::run(4, 1, 3, |world| {
        let mine = vec![world.rank().0 as u8; world.rank().index()];
        let all = world.all_gather_bytes(mine).unwrap();
        assert_eq!(all, [vec![], vec![1], vec![2, 2], vec![3, 3, 3]]);
        let text = if world.rank() == Rank(2) { b"from two".to_vec() } else { Vec::new() };
        assert_eq!(world.broadcast_bytes(Rank(2), text).unwrap(), b"from two");
        let outcome = if world.rank().0 >= 2 { Err(format!("{} is unhappy", world.rank())) } else { Ok(()) };
        assert_eq!(world.agree(outcome).unwrap_err().to_string(), "rank 2 failed: rank 2 is unhappy");
        world.barrier().unwrap();
    })
    .expect("the worlds start");
}

#[test]
fn a_task_that_panics_fails_every_rank_and_the_world_goes_on() {
    let outcomes = local::run(3, 1, 9, |world| {
        let mut graph = world.graph("panic");
        let blocks: Vec<_> = (0..3).map(|rank| graph.block(Rank(rank), 8)).collect::<Result<_, _>>()?;
        for (rank, &block) in (0_u32..).zip(&blocks) {
            graph.task("fragile", Rank(rank), 0, &[Access::Write(block)], || {
                Box::new(move |_| if rank == 2 { panic!("this task is made of glass") } else { Ok(()) })
            })?;
        }
        graph.all_reduce(Reduction::SumI64, &blocks);
        let outcome = world.run(&Arc::new(graph.finish()?));
        Ok::<_, Error>((outcome, count_ranks(world, false)?))
    });
    for (rank, outcome) in outcomes.expect("the worlds start").into_iter().enumerate() {
        let (outcome, count) = outcome.expect("the next graph runs");
        let error = outcome.expect_err("every rank fails").to_string();
        assert!(error.contains("task fragile: panicked: this task is made of glass"), "{error}");
        assert_eq!((error.starts_with("rank 2 failed:"), count), (rank != 2, 3), "{error}");
    }
}

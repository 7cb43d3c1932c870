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
        // The first epoch takes the times by which later ones run in lanes.
        let expected = program.serial(4);
        let parts = local::run(ranks, threads, seed, |world| program.run(world, 4)).expect("the worlds start");
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

/// Chains of tasks joined as in a stencil, of which some are slow in some epochs.
#[track_caller]
fn check_stencil(threads: usize, slow: impl Fn(usize, usize, i64) -> bool + Clone + Send + Sync + 'static) {
    let (width, steps, epochs) = (6_usize, 20_usize, 6_i64);
    let sums = local::run(1, threads, 0, |world| {
        let mut graph = world.graph("stencil");
        let epoch = graph.block(Rank(0), 8)?;
        let fields = [0, 1].map(|_| (0..width).map(|_| graph.block(Rank(0), 8)).collect::<Result<Vec<_>, _>>());
        let [even, odd] = fields.map(|field| field.expect("within the budget"));
        graph.task("count", Rank(0), 0, &[Access::Write(epoch)], || {
            Box::new(|context| {
                context.write(0).of_mut::<i64>()[0] += 1;
                Ok(())
            })
        })?;
        for step in 0..steps {
            let (from, to) = if step % 2 == 0 { (&even, &odd) } else { (&odd, &even) };
            for point in 0..width {
                let near = point.saturating_sub(1)..=(point + 1).min(width - 1);
                let mut accesses = vec![Access::Write(to[point]), Access::Read(epoch)];
                accesses.extend(near.clone().map(|near| Access::Read(from[near])));
                let (count, slow) = (near.count(), slow.clone());
                graph.task("point", Rank(0), 0, &accesses, || {
                    Box::new(move |context| {
                        let epoch = context.read(1).of::<i64>()[0];
                        if slow(step, point, epoch) {
                            std::thread::sleep(std::time::Duration::from_millis(5));
                        }
                        let sum: i64 = (0..count).map(|near| context.read(near + 2).of::<i64>()[0] % 1000).sum();
                        context.write(0).of_mut::<i64>()[0] = sum + (step + point) as i64 + epoch;
                        Ok(())
                    })
                })?;
            }
        }
        let graph = Arc::new(graph.finish()?);
        for _ in 0..epochs {
            world.run_again(&graph)?;
        }
        Ok::<_, Error>(even.iter().map(|&block| graph.cell(block).read().of::<i64>()[0]).collect::<Vec<_>>())
    });
    let mut expected = [vec![0_i64; width], vec![0; width]];
    for epoch in 1..=epochs {
        for step in 0..steps {
            let from = expected[step % 2].clone();
            for point in 0..width {
                let near = point.saturating_sub(1)..=(point + 1).min(width - 1);
                let sum: i64 = near.map(|near| from[near] % 1000).sum();
                expected[(step + 1) % 2][point] = sum + (step + point) as i64 + epoch;
            }
        }
    }
    assert_eq!(sums.expect("the world starts")[0].as_ref().expect("no task fails"), &expected[0]);
}

#[test]
fn a_graph_that_is_launched_again_and_again_gives_program_order() {
    for threads in [1, 2, 3, 5] {
        check_stencil(threads, |_, _, _| false);
    }
}

#[test]
fn a_lane_that_waits_for_long_is_left_and_taken_up_again() {
    check_stencil(2, |step, point, epoch| epoch % 2 == 0 && step % 7 == 3 && point == 5);
    check_stencil(3, |step, point, epoch| epoch > 1 && step == 10 && point % 2 == 0);
}

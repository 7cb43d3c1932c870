//! Random graphs on one to eight ranks give what program order gives, whatever is stolen and delivered when.

use girih_runtime::comm::Reduction;
use girih_runtime::error::Error;
use girih_runtime::graph::{Access, Body, GraphBuilder};
use girih_runtime::ids::{Rank, Tag};
use girih_runtime::local;
use girih_runtime::memory::Memory;
use girih_runtime::stepwise::Turns;
use girih_runtime::world::World;
use girih_tests::random_graph::{Program, Recorded};
use girih_tests::random_worlds::count_ranks;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Programs of these seeds, in worlds of `PROGRAMS` each; in every fourth a task fails first.
#[track_caller]
fn check(seeds: std::ops::Range<u64>, ranks: usize, threads: usize) {
    for first in seeds.clone().step_by(PROGRAMS as usize) {
        let seeds = first..seeds.end.min(first + PROGRAMS);
        let run = |world: &World, seed: u64| {
            // The first epoch takes the times by which later ones run in lanes.
            let (program, epochs) = (Program::random(seed, ranks), 1 + seed as usize % EPOCHS_MAX);
            if seed % 4 == 3 { program.run_after_failure(world, epochs) } else { program.run(world, epochs) }
        };
        // The seed of the first program fixes the order of delivery for all of its world.
        let parts = local::run(ranks, threads, first, |world| {
            seeds.clone().map(|seed| run(world, seed)).collect::<Result<Vec<_>, _>>()
        });
        let parts: Vec<_> =
            parts.expect("the worlds start").into_iter().map(|part| part.expect("no rank fails")).collect();
        for (place, seed) in seeds.enumerate() {
            let expected = Program::random(seed, ranks).serial(1 + seed as usize % EPOCHS_MAX);
            let cells: Vec<_> = parts.iter().flat_map(|part| &part[place]).collect();
            assert_eq!(cells.len(), expected.len());
            for &(cell, value) in cells {
                assert_eq!(
                    value, expected[cell],
                    "seed {seed} in the world of seed {first}, {ranks} ranks, cell {cell}"
                );
            }
        }
    }
}

/// Programs that share a world, and so an order of delivery.
const PROGRAMS: u64 = 25;
const EPOCHS_MAX: usize = 4;

/// Ten thousand programs in all, on one to eight ranks.
macro_rules! random_programs {
    ($($name:ident: $seeds:expr, $ranks:literal ranks of $threads:literal;)*) => {
        $(#[test]
        fn $name() {
            check($seeds, $ranks, $threads);
        })*
    };
}

random_programs! {
    one_rank_gives_program_order: 1..1251, 1 ranks of 2;
    two_ranks_give_program_order: 2000..3250, 2 ranks of 2;
    three_ranks_give_program_order: 4000..5250, 3 ranks of 1;
    four_ranks_give_program_order: 6000..7250, 4 ranks of 2;
    five_ranks_give_program_order: 8000..9250, 5 ranks of 1;
    six_ranks_give_program_order: 10_000..11_250, 6 ranks of 2;
    seven_ranks_give_program_order: 12_000..13_250, 7 ranks of 1;
    eight_ranks_give_program_order: 14_000..15_250, 8 ranks of 1;
    immediate_delivery_gives_program_order: 0..25, 4 ranks of 2;
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

/// Each rank adds up the words of its neighbour; in every fifth epoch rank 0 is late. Gives each rank's sum, and how
/// many words its caller has written.
fn small_graphs(ranks: usize, epochs: usize) -> Vec<(i64, usize)> {
    let outcomes = local::run(ranks, 1, 0, |world| {
        let mut graph = world.graph("small");
        let block = |graph: &mut GraphBuilder, rank| graph.block(Rank::from(rank), 8);
        let words = (0..ranks).map(|rank| block(&mut graph, rank)).collect::<Result<Vec<_>, _>>()?;
        let sums = (0..ranks).map(|rank| block(&mut graph, rank)).collect::<Result<Vec<_>, _>>()?;
        let (epoch, by_caller) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let caller = std::thread::current().id();
        for rank in 0..ranks {
            let (epoch, by_caller) = (Arc::clone(&epoch), Arc::clone(&by_caller));
            graph.task("word", Rank::from(rank), 0, &[Access::Write(words[rank])], || {
                Box::new(move |context| {
                    let number = epoch.fetch_add(1, Relaxed); // Relaxed: epochs come one after another
                    if rank == 0 && number % 5 == 3 {
                        std::thread::sleep(Duration::from_millis(4));
                    }
                    by_caller.fetch_add(usize::from(std::thread::current().id() == caller), Relaxed); // as above
                    context.write(0).of_mut::<i64>()[0] = (number * (rank + 1)) as i64;
                    Ok(())
                })
            })?;
        }
        for rank in 0..ranks {
            let accesses = [Access::Write(sums[rank]), Access::Read(words[(rank + 1) % ranks])];
            graph.task("sum", Rank::from(rank), 0, &accesses, || {
                Box::new(|context| {
                    context.write(0).of_mut::<i64>()[0] += context.read(1).of::<i64>()[0];
                    Ok(())
                })
            })?;
        }
        let graph = Arc::new(graph.finish()?);
        graph.cell(sums[world.rank().index()]).write().of_mut::<i64>()[0] = 0;
        (0..epochs).try_for_each(|_| world.run_again(&graph))?;
        let sum = graph.cell(sums[world.rank().index()]).read().of::<i64>()[0];
        Ok::<_, Error>((sum, by_caller.load(Relaxed))) // as above
    });
    outcomes.expect("the worlds start").into_iter().map(|outcome| outcome.expect("no task fails")).collect()
}

#[test]
fn a_small_graph_is_run_by_who_launches_it() {
    for ranks in [1, 2, 3, 8] {
        let epochs = 23;
        let outcomes = small_graphs(ranks, epochs);
        let numbers: i64 = (0..epochs as i64).sum();
        for (rank, (sum, _)) in outcomes.iter().enumerate() {
            assert_eq!(*sum, numbers * ((rank + 1) % ranks + 1) as i64, "rank {rank} of {ranks}");
        }
        // The first epoch takes the times, and so does one after a slow one.
        let callers: usize = outcomes.iter().map(|(_, by_caller)| by_caller).sum();
        assert!(callers > 0, "no caller of {ranks} ran a task");
    }
}

/// Launches a brief graph on each rank, a chain of sums whose task `failing` fails; the last sum, and who ran tasks.
fn brief_graph(ranks: usize, failing: Option<usize>) -> Vec<(Result<i64, Error>, Vec<std::thread::ThreadId>)> {
    let outcomes = local::run(ranks, 2, 0, |world| {
        let (me, ran) = (world.rank(), Arc::new(Mutex::new(Vec::new())));
        let mut graph = world.graph("brief");
        graph.brief();
        let words = (0..20).map(|_| graph.block(me, 8)).collect::<Result<Vec<_>, _>>()?;
        for index in 0..words.len() {
            let ran = Arc::clone(&ran);
            let mut accesses = vec![Access::Write(words[index])];
            accesses.extend(index.checked_sub(1).map(|before| Access::Read(words[before])));
            graph.task("word", me, 0, &accesses, || {
                Box::new(move |context| {
                    ran.lock().expect("no task panics").push(std::thread::current().id());
                    let before = if index == 0 { 0 } else { context.read(1).of::<i64>()[0] };
                    context.write(0).of_mut::<i64>()[0] = before + index as i64;
                    if failing == Some(index) { Err("as it should".to_string()) } else { Ok(()) }
                })
            })?;
        }
        let graph = Arc::new(graph.finish()?);
        let outcome = world.run(&graph).map(|()| graph.cell(words[19]).read().of::<i64>()[0]);
        let ran = ran.lock().expect("no task panics").clone();
        Ok::<_, Error>((outcome, std::thread::current().id(), ran))
    });
    let outcomes = outcomes.expect("the worlds start").into_iter().map(|outcome| {
        let (outcome, caller, ran) = outcome.expect("the world goes on");
        assert!(ran.iter().all(|thread| *thread == caller), "who launches a brief graph runs it");
        (outcome, ran)
    });
    outcomes.collect()
}

#[test]
fn a_brief_graph_is_run_through_by_who_launches_it() {
    for ranks in [1, 3] {
        for (sum, ran) in brief_graph(ranks, None) {
            assert_eq!((sum.expect("no task fails"), ran.len()), (190, 20));
        }
    }
    let (sum, ran) = brief_graph(1, Some(7)).remove(0);
    assert!(sum.is_err_and(|error| error.to_string().contains("as it should")));
    assert_eq!(ran.len(), 8, "tasks behind one that fails are skipped");
}

/// Programs run by one thread in the order of their seed, against program order.
#[track_caller]
fn check_stepwise(seeds: std::ops::Range<u64>, ranks: usize, workers: usize) {
    for seed in seeds {
        let (program, epochs) = (Program::random(seed, ranks), 1 + seed as usize % EPOCHS_MAX);
        let recorded = Mutex::new(Vec::new());
        let record = |builder: GraphBuilder, memory: &Arc<Memory>| {
            let part = program.record(builder, memory)?;
            let graph = Arc::clone(&part.graph);
            recorded.lock().expect("one thread").push(part);
            Ok(graph)
        };
        Turns { ranks, workers, seed }.run(epochs, record).expect("every graph ends");
        let expected = program.serial(epochs);
        let parts = recorded.into_inner().expect("one thread");
        let cells: Vec<_> = parts.iter().flat_map(Recorded::cells).collect();
        assert_eq!(cells.len(), expected.len());
        for (cell, value) in cells {
            assert_eq!(value, expected[cell], "seed {seed}, {ranks} ranks of {workers}, cell {cell}");
        }
    }
}

#[test]
fn one_thread_in_any_order_gives_program_order() {
    check_stepwise(1..300, 1, 3);
    check_stepwise(1000..1300, 2, 1);
    check_stepwise(2000..2300, 3, 2);
    check_stepwise(3000..3300, 8, 3);
}

#[test]
fn a_seed_is_an_order_that_can_be_repeated() {
    let order_of = |seed: u64| {
        let order = Arc::new(Mutex::new(Vec::new()));
        let record = |mut builder: GraphBuilder, _: &Arc<Memory>| {
            for number in 0..40_u32 {
                let (order, rank) = (Arc::clone(&order), Rank(number % 2));
                let block = builder.block(rank, 8)?;
                builder.task("free", rank, 0, &[Access::Write(block)], || {
                    Box::new(move |_| {
                        order.lock().expect("one thread").push(number);
                        Ok(())
                    })
                })?;
            }
            Ok(Arc::new(builder.finish()?))
        };
        Turns { ranks: 2, workers: 2, seed }.run(3, record).expect("every graph ends");
        let order = order.lock().expect("one thread").clone();
        assert_eq!(order.len(), 120);
        order
    };
    assert_eq!(order_of(5), order_of(5));
    assert_ne!(order_of(5), order_of(6));
}

/// The order in which the one worker of rank 0 runs `tasks` tasks, of which the last is wanted by rank 1, as are all
/// that the last of its blocks goes through: a chain of so many.
fn order_of_rank_0(tasks: u32, chain: u32, seed: u64) -> Vec<u32> {
    let order = Arc::new(Mutex::new(Vec::new()));
    let record = |mut builder: GraphBuilder, _: &Arc<Memory>| {
        let note = |number: u32| {
            let order = Arc::clone(&order);
            move || -> Body {
                Box::new(move |_| {
                    order.lock().expect("one thread").push(number);
                    Ok(())
                })
            }
        };
        let mut last = None;
        for number in 0..tasks {
            let block = builder.block(Rank(0), 8)?;
            builder.task("free", Rank(0), 0, &[Access::Write(block)], note(number))?;
            last = Some(block);
        }
        let last = last.expect("at least one task");
        for number in tasks..tasks + chain {
            builder.task("chained", Rank(0), 0, &[Access::Write(last)], note(number))?;
        }
        let there = builder.block(Rank(1), 8)?;
        let wants = [Access::Write(there), Access::Read(last)];
        builder.task("wants", Rank(1), 0, &wants, || Box::new(|_| Ok(())))?;
        Ok(Arc::new(builder.finish()?))
    };
    Turns { ranks: 2, workers: 1, seed }.run(1, record).expect("every graph ends");
    let order = order.lock().expect("one thread").clone();
    order
}

#[test]
fn what_is_sent_is_made_first() {
    for seed in 1..20 {
        assert_eq!(order_of_rank_0(10, 0, seed), [9, 0, 1, 2, 3, 4, 5, 6, 7, 8], "seed {seed}");
        // In lanes the tasks of one depth are run before those of the next; else a path to the end of its own.
        let order = order_of_rank_0(6, 3, seed);
        assert!([[5, 6, 7, 8, 0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 6, 7, 8]].contains(&order[..].try_into().unwrap()));
    }
}

#[test]
fn messages_with_the_tag_of_earlier_ones_are_not_taken_for_them() {
    // Long enough to travel alone.
    const BYTES: usize = 1024;
    let messages = Tag::GRAPH_TAGS as usize + 3000;
    let results = local::run(2, 2, 5, |world| {
        let wrong = Arc::new(AtomicUsize::new(0));
        let mut graph = world.graph("many messages");
        for number in 0..messages {
            let block = graph.block(Rank(0), BYTES)?;
            graph.task("write", Rank(0), 0, &[Access::Write(block)], || {
                Box::new(move |context| {
                    // The first comes last, when the one that has its tag again could have been sent.
                    if number == 0 {
                        std::thread::sleep(Duration::from_millis(300));
                    }
                    context.write(0).of_mut::<usize>()[0] = number;
                    Ok(())
                })
            })?;
            graph.task("read", Rank(1), 0, &[Access::Read(block)], || {
                let wrong = Arc::clone(&wrong);
                Box::new(move |context| {
                    // Relaxed: read when the graph has run.
                    wrong.fetch_add(usize::from(context.read(0).of::<usize>()[0] != number), Relaxed);
                    Ok(())
                })
            })?;
        }
        world.run(&Arc::new(graph.finish()?))?;
        Ok::<_, Error>(wrong.load(Relaxed)) // Relaxed: as above
    });
    for wrong in results.expect("the worlds start") {
        assert_eq!(wrong.expect("no rank fails"), 0);
    }
}

//! What a graph costs in memory, as the allocator counts it: bytes of a task, and nothing for a launch after the first.
//!
//! One test in one program, so that nobody else allocates meanwhile. Never here: times.

use girih_runtime::config::Config;
use girih_runtime::graph::{Access, Graph};
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::world::World;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const WIDTH: usize = 200;
const STEPS: usize = 100;
/// Bytes of a task with its edges, grants and body, and room for no more.
const TASK_BYTES_MAX: usize = 300;

/// A stencil over two fields: each task reads up to three words, adds them into a fourth, and takes at least so long.
fn stencil(world: &World, least: Duration) -> Graph {
    let mut builder = world.graph("stencil");
    let fields = [(); 2].map(|()| {
        let block = |_| builder.block(Rank(0), 8).expect("room for a word");
        (0..WIDTH).map(block).collect::<Vec<BlockId>>()
    });
    for step in 0..STEPS {
        let (from, to) = (&fields[step % 2], &fields[(step + 1) % 2]);
        for point in 0..WIDTH {
            let near = point.saturating_sub(1)..=(point + 1).min(WIDTH - 1);
            let reads = near.clone().map(|near| Access::Read(from[near]));
            let accesses: Vec<Access> = std::iter::once(Access::Write(to[point])).chain(reads).collect();
            let body = move |context: &girih_runtime::graph::Context<'_>| {
                let begin = Instant::now();
                let sum =
                    (1..=near.clone().count()).map(|near| context.read(near).of::<u64>()[0]).fold(0, u64::wrapping_add);
                context.write(0).of_mut::<u64>()[0] = sum.wrapping_add(point as u64);
                while begin.elapsed() < least {}
                Ok(())
            };
            builder.task("point", Rank(0), 0, &accesses, || Box::new(body)).expect("no block is missing");
        }
    }
    builder.finish().expect("a graph of one rank")
}

/// Launches a graph until it has settled, and then again: none of those launches may allocate.
#[track_caller]
fn check_launches(world: &World, graph: &Arc<Graph>, what: &str) {
    // The first takes the times by which the second may make lanes.
    (0..4).for_each(|_| world.run_again(graph).expect("no task fails"));
    for launch in 0..10 {
        let region = Region::new(COUNTED);
        world.run_again(graph).expect("no task fails");
        let change = region.change();
        assert_eq!((change.allocations, change.reallocations), (0, 0), "launch {launch} of {what}: {change:?}");
    }
}

#[test]
fn a_task_takes_few_bytes_and_a_launch_after_the_first_allocates_nothing() {
    for threads in [1, 2, 3] {
        let world = World::solo(Config { threads: Some(threads), bind: false, ..Config::default() });
        let world = world.expect("a world of one rank starts");
        let region = Region::new(COUNTED);
        let fine = Arc::new(stencil(&world, Duration::ZERO));
        let change = region.change();
        // Threads of the world before may still give back what it had; only the first counts nothing but its own.
        if threads == 1 {
            let bytes = (change.bytes_allocated - change.bytes_deallocated) / (WIDTH * STEPS);
            assert!(bytes < TASK_BYTES_MAX, "{bytes} bytes a task");
        }
        check_launches(&world, &fine, "short tasks");
        check_launches(&world, &Arc::new(stencil(&world, Duration::from_micros(8))), "tasks too long for lanes");
    }
}

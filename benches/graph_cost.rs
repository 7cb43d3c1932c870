//! What a graph costs before it runs: the time to record it, bytes for each task, and what a launch allocates.
//!
//! The graph is a stencil: each task reads three blocks and writes one. `graph.py` prints what this writes.

use clap::Parser;
use girih_runtime::config::Config;
use girih_runtime::error::Result;
use girih_runtime::graph::{Access, Graph};
use girih_runtime::ids::Rank;
use girih_runtime::world::World;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Parser)]
#[command(about = "Time to record a graph, bytes a task, allocations a launch")]
struct Options {
    /// Tasks of a timestep.
    #[arg(long, default_value_t = 1000)]
    width: usize,
    /// Timesteps.
    #[arg(long, default_value_t = 1000)]
    steps: usize,
    /// Graphs recorded, of which the quickest counts, and launches of the last.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Workers; without it, one for each core.
    #[arg(long)]
    threads: Option<usize>,
}

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(line) => {
            #[allow(clippy::print_stdout, reason = "the result of a command")]
            {
                println!("{line}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("graph_cost: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Seconds to record, bytes a task, allocations of the first launch and the most of the later ones, seconds a launch.
fn measure(options: &Options) -> Result<String> {
    let world = World::solo(Config { threads: options.threads, ..Config::default() })?;
    let (mut record, mut bytes, mut last) = (Duration::MAX, 0, None);
    for _ in 0..options.rounds {
        drop(last.take());
        let (region, begin) = (Region::new(COUNTED), Instant::now());
        let graph = stencil(&world, options)?;
        record = record.min(begin.elapsed());
        let change = region.change();
        bytes = change.bytes_allocated - change.bytes_deallocated;
        last = Some(Arc::new(graph));
    }
    let graph = last.expect("at least one round");
    let (mut allocations, mut launch) = (Vec::new(), Duration::MAX);
    for _ in 0..options.rounds.max(3) {
        let (region, begin) = (Region::new(COUNTED), Instant::now());
        world.run_again(&graph)?;
        launch = launch.min(begin.elapsed());
        allocations.push(region.change().allocations);
    }
    let tasks = (options.width * options.steps) as f64;
    // The second launch makes the lanes, which later ones keep.
    let later = allocations[2..].iter().max().expect("at least three launches");
    let (record, launch) = (record.as_secs_f64(), launch.as_secs_f64());
    Ok(format!("{record:.6} {:.1} {} {later} {launch:.6}", bytes as f64 / tasks, allocations[0]))
}

fn stencil(world: &World, options: &Options) -> Result<Graph> {
    let mut builder = world.graph("stencil");
    let field = |builder: &mut girih_runtime::graph::GraphBuilder| {
        (0..options.width).map(|_| builder.block(Rank(0), 8)).collect::<Result<Vec<_>>>()
    };
    let fields = [field(&mut builder)?, field(&mut builder)?];
    for step in 0..options.steps {
        let (from, to) = (&fields[step % 2], &fields[(step + 1) % 2]);
        for point in 0..options.width {
            let near = [point.saturating_sub(1), point, (point + 1).min(options.width - 1)];
            let mut accesses = [Access::Write(to[point]); 4];
            let mut count = 1;
            for (index, &near_point) in near.iter().enumerate() {
                if !near[..index].contains(&near_point) {
                    accesses[count] = Access::Read(from[near_point]);
                    count += 1;
                }
            }
            let domain = world.domain_of_tile(point, options.width);
            builder.task("point", Rank(0), domain, &accesses[..count], || {
                Box::new(move |context| {
                    let sum: u64 = (1..count).map(|near| context.read(near).of::<u64>()[0]).sum();
                    context.write(0).of_mut::<u64>()[0] = sum + point as u64;
                    Ok(())
                })
            })?;
        }
    }
    builder.finish()
}

//! Task Bench on girih's runtime: timesteps unrolled into one static graph, which is launched many times.
//!
//! Points are divided among the ranks by blocks: those of the launcher, or `--ranks` threads of this process.
//! Every task checks that its inputs are the stamps of the tasks it depends on, so a run that ends was ordered.

use clap::Parser;
use girih_runtime::config::Config;
use girih_runtime::error::Result;
use girih_runtime::graph::{Access, Context, Graph};
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::local;
use girih_runtime::world::World;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use task_graph::{Pattern, Stamp, Sweep, TaskGraph, kernel};

#[derive(Parser)]
#[command(about = "Task Bench on girih: time of a task, efficiency and METG(50%)")]
struct Options {
    #[command(flatten)]
    sweep: Sweep,
    /// Ranks as threads of this process; without it, those of the launcher.
    #[arg(long)]
    ranks: Option<usize>,
    /// Workers of each rank; without it, one for each core of the rank.
    #[arg(long)]
    threads: Option<usize>,
    /// Outputs kept of each point; by default few enough for the cache.
    #[arg(long)]
    fields: Option<usize>,
    /// Records a trace of everything into this file.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Directory of the MPI plug-ins.
    #[arg(long, default_value = "bindings/python/girih/_mpi")]
    plugins: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let config = Config { threads: options.threads, trace: options.trace.clone(), ..Config::default() };
    let reports = match options.ranks {
        Some(ranks) => local::run_with(ranks, 0, &config, |world| sweep(world, &options)),
        None => World::join(config, options.plugins.clone()).and_then(|world| {
            let report = sweep(&world, &options);
            world.shut_down()?;
            Ok(vec![report])
        }),
    };
    match reports.and_then(|reports| reports.into_iter().collect::<Result<Vec<_>>>()) {
        Ok(reports) => {
            #[allow(clippy::print_stdout, reason = "the result of a command")]
            reports.iter().for_each(|report| print!("{report}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("taskbench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures all grain sizes; the report, on rank 0.
fn sweep(world: &World, options: &Options) -> Result<String> {
    let iterations = Arc::new(AtomicU32::new(0));
    let graph = Arc::new(unroll(world, options, &iterations)?);
    let mut failure = None;
    let samples = options.sweep.measure(|grain| {
        iterations.store(grain, Relaxed); // reaches the workers with the launch
        launch(world, &graph).unwrap_or_else(|error| {
            failure.get_or_insert(error);
            Duration::MAX
        })
    });
    let cores = world.workers() * world.size();
    match failure {
        Some(error) => Err(error),
        None if world.rank() == Rank(0) => Ok(options.sweep.report(&samples, cores)),
        None => Ok(String::new()),
    }
}

/// The time of one launch, from when all ranks are ready until the last has ended.
fn launch(world: &World, graph: &Arc<Graph>) -> Result<Duration> {
    world.barrier()?;
    let begin = Instant::now();
    world.run_again(graph)?;
    let mine = begin.elapsed();
    Ok(Duration::from_nanos(world.max(mine.as_nanos() as i64)? as u64))
}

/// All timesteps of all graphs as one static graph.
fn unroll(world: &World, options: &Options, iterations: &Arc<AtomicU32>) -> Result<Graph> {
    let sweep = &options.sweep;
    let mut builder = world.graph("taskbench");
    let owner = |point: usize| Rank::from(point * world.size() / sweep.width);
    for graph in sweep.graphs() {
        let fields = options.fields.unwrap_or(fields_min(graph)).min(sweep.steps);
        let blocks = (0..fields * sweep.width)
            .map(|index| builder.block(owner(index % sweep.width), size_of::<Stamp>()))
            .collect::<Result<Vec<BlockId>>>()?;
        let block = |step: usize, point: usize| blocks[step % fields * sweep.width + point];
        for step in 0..sweep.steps {
            for point in 0..sweep.width {
                let before = graph.dependencies(step, point);
                let mut accesses = vec![Access::Write(block(step, point))];
                accesses.extend(before.iter().map(|&point| Access::Read(block(step - 1, point))));
                let domain = world.domain_of_tile(point, sweep.width);
                let body = || task(step, point, before, iterations);
                builder.task("task", owner(point), domain, &accesses, body)?;
            }
        }
    }
    builder.finish()
}

/// Two where a point's readers are the points it reads, so that writing waits for no more than reading does; else four,
/// so that writing waits for readers long done, and few receives are posted at a time.
fn fields_min(graph: TaskGraph) -> usize {
    match graph.pattern {
        Pattern::Stencil1d | Pattern::Nearest | Pattern::AllToAll => 2,
        Pattern::Trivial | Pattern::Spread | Pattern::Fft | Pattern::Dom | Pattern::RandomNearest => 4,
    }
}

fn task(step: usize, point: usize, before: Vec<usize>, iterations: &Arc<AtomicU32>) -> girih_runtime::graph::Body {
    let iterations = Arc::clone(iterations);
    Box::new(move |context: &Context<'_>| {
        for (index, &from) in before.iter().enumerate() {
            let input = context.read(index + 1);
            let found = input.of::<u64>();
            if found != [step as u64 - 1, from as u64] {
                return Err(format!("({step}, {point}) found {found:?} where ({}, {from}) writes", step - 1));
            }
        }
        kernel(iterations.load(Relaxed)); // stored before the launch
        context.write(0).of_mut::<u64>().copy_from_slice(&[step as u64, point as u64]);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_pattern_is_ordered_on_every_number_of_ranks() {
        for ranks in [1, 2, 3] {
            let patterns = Pattern::value_variants().iter().map(|pattern| vec![*pattern]);
            for pattern in patterns.chain([Pattern::value_variants().to_vec()]) {
                let mut options = Options::parse_from(["taskbench", "--width", "6", "--steps", "20", "--rounds", "3"]);
                (options.sweep.pattern, options.sweep.iterations) = (pattern, vec![4, 0]);
                let config = Config { threads: Some(2), bind: false, ..Config::default() };
                let reports = local::run_with(ranks, 0, &config, |world| sweep(world, &options));
                for report in reports.expect("the worlds start") {
                    report.expect("every input is the stamp of the task before");
                }
            }
        }
    }
}

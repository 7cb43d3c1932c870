//! Task Bench on rayon: a task spawns the successors that it was the last predecessor of; one it runs itself.

use clap::Parser;
use rayon::Scope;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Relaxed},
};
use std::time::Instant;
use task_graph::{Sweep, TaskGraph, kernel};

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    sweep: Sweep,
    /// Workers.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

struct Task {
    step: u64,
    point: u64,
    before: Vec<u32>,
    behind: Vec<u32>,
    open: AtomicU32,
    stamp: [AtomicU64; 2],
}

fn main() {
    let Options { sweep, threads } = Options::parse();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("workers start");
    let tasks: &[Task] = &unroll(sweep.graphs()[0], sweep.steps);
    let samples = sweep.measure(|iterations| {
        for task in tasks {
            task.open.store(task.before.len() as u32, Relaxed); // reaches the workers with `install`
        }
        let begin = Instant::now();
        pool.install(|| {
            rayon::scope(|scope| {
                let ready = (0..tasks.len()).filter(|&index| tasks[index].before.is_empty());
                ready.for_each(|index| scope.spawn(move |scope| run(scope, tasks, index, iterations)));
            });
        });
        begin.elapsed()
    });
    #[allow(clippy::print_stdout, reason = "the result of a command")]
    {
        print!("{}", sweep.report(&samples, threads));
    }
}

fn unroll(graph: TaskGraph, steps: usize) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::with_capacity(steps * graph.width);
    for index in 0..steps * graph.width {
        let (step, point) = (index / graph.width, index % graph.width);
        let before =
            graph.dependencies(step, point).into_iter().map(|from| (index - point - graph.width + from) as u32);
        let before: Vec<u32> = before.collect();
        before.iter().for_each(|&from| tasks[from as usize].behind.push(index as u32));
        let (step, point) = (step as u64, point as u64);
        tasks.push(Task { step, point, before, behind: Vec::new(), open: 0.into(), stamp: Default::default() });
    }
    tasks
}

fn run<'a>(scope: &Scope<'a>, tasks: &'a [Task], mut index: usize, iterations: u32) {
    loop {
        let task = &tasks[index];
        for &from in &task.before {
            let from = &tasks[from as usize];
            // Relaxed: `open` orders the stamps.
            let found = [from.stamp[0].load(Relaxed), from.stamp[1].load(Relaxed)];
            assert_eq!(found, [from.step, from.point], "a task ran before its predecessor");
        }
        kernel(iterations);
        // Relaxed: as above.
        task.stamp[0].store(task.step, Relaxed);
        task.stamp[1].store(task.point, Relaxed);
        // AcqRel: the last of several predecessors sees what the others wrote.
        let mut ready = task.behind.iter().filter(|&&next| tasks[next as usize].open.fetch_sub(1, AcqRel) == 1);
        let Some(&own) = ready.next() else { return };
        ready.for_each(|&next| scope.spawn(move |scope| run(scope, tasks, next as usize, iterations)));
        index = own as usize;
    }
}

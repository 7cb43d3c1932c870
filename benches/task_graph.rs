//! Task Bench's graphs: which points of the last timestep a task depends on, its kernel, and how a sweep is read.
//!
//! After the published definition (Slaughter et al., "Task Bench", SC20, §3); `peers/task_graph.h` says the same in C.
//! Never here: a runtime.

#![allow(unsafe_code, reason = "the kernel is compiled from C, so that all drivers run the same one")]

use clap::{Args, ValueEnum};
use std::hint::black_box;
use std::time::Duration;

// SAFETY: the signature is that of `peers/kernel.c`, which touches nothing but its argument.
unsafe extern "C" {
    safe fn taskbench_compute(iterations: u32) -> f64;
}

/// The dependencies between timesteps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Pattern {
    /// None.
    Trivial,
    /// The point and its two neighbours.
    #[value(name = "stencil_1d")]
    Stencil1d,
    /// The `radix` nearest points.
    Nearest,
    /// `radix` points at equal distances, moving with the timestep.
    Spread,
    /// The point and those at a distance that doubles with the timestep.
    Fft,
    /// The point and the one before it.
    Dom,
    /// Half of the `radix` nearest points, chosen by a hash.
    RandomNearest,
    /// All points.
    AllToAll,
}

/// One graph: its pattern and size.
#[derive(Clone, Copy, Debug)]
pub struct TaskGraph {
    /// Who depends on whom.
    pub pattern: Pattern,
    /// Of the patterns that have one.
    pub radix: usize,
    /// Points of a timestep.
    pub width: usize,
}

impl TaskGraph {
    /// The points of the timestep before `step` that point `point` depends on, ascending.
    pub fn dependencies(&self, step: usize, point: usize) -> Vec<usize> {
        if step == 0 {
            return Vec::new();
        }
        let (width, radix) = (self.width, self.radix);
        let near = |before: usize, behind: usize| point.saturating_sub(before)..=(point + behind).min(width - 1);
        let nearest = || near(radix.saturating_sub(1) / 2, radix / 2);
        let mut points: Vec<usize> = match self.pattern {
            Pattern::Trivial => Vec::new(),
            Pattern::Stencil1d => near(1, 1).collect(),
            Pattern::Nearest => nearest().collect(),
            Pattern::Spread => (0..radix)
                .map(|part| (point + part * width / radix + if part > 0 { step - 1 } else { 0 }) % width)
                .collect(),
            Pattern::Fft => {
                let distance = 1 << ((step - 1) % width.next_power_of_two().trailing_zeros().max(1) as usize);
                let before = point.checked_sub(distance);
                before.into_iter().chain([point]).chain(Some(point + distance).filter(|&it| it < width)).collect()
            }
            Pattern::Dom => near(1, 0).collect(),
            Pattern::RandomNearest => nearest().filter(|&other| coin(step, point, other)).collect(),
            Pattern::AllToAll => (0..width).collect(),
        };
        points.sort_unstable();
        points.dedup();
        points
    }
}

/// True for half of all triples.
fn coin(step: usize, point: usize, other: usize) -> bool {
    let mixed = (step as u64) << 40 ^ (point as u64) << 20 ^ other as u64;
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1
}

/// What a task leaves for those that depend on it: its timestep and its point.
pub type Stamp = [u64; 2];

/// The work of one task; none for no iterations.
pub fn kernel(iterations: u32) {
    if iterations > 0 {
        black_box(taskbench_compute(iterations));
    }
}

/// The options that all drivers share.
#[derive(Args, Clone, Debug)]
pub struct Sweep {
    /// Patterns, separated by commas: one graph each, all run at once.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "stencil_1d")]
    pub pattern: Vec<Pattern>,
    /// Dependencies of a task, for nearest, spread and `random_nearest`.
    #[arg(long, default_value_t = 5)]
    pub radix: usize,
    /// Points of a timestep.
    #[arg(long, default_value_t = 2)]
    pub width: usize,
    /// Timesteps.
    #[arg(long, default_value_t = 1000)]
    pub steps: usize,
    /// Kernel iterations of each measurement, largest first; 0 is the empty kernel.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "16384,4096,2048,1024,724,512,362,256,181,128,91,64,45,32,16,0"
    )]
    pub iterations: Vec<u32>,
    /// Runs of each size, of which the shortest counts.
    #[arg(long, default_value_t = 20)]
    pub rounds: usize,
    /// Prints `iterations seconds` alone, for `metg.py`.
    #[arg(long)]
    pub raw: bool,
}

/// The shortest time at one grain size.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Kernel iterations of a task.
    pub iterations: u32,
    /// Of all tasks together.
    pub time: Duration,
}

impl Sweep {
    /// The graphs, one for each pattern.
    pub fn graphs(&self) -> Vec<TaskGraph> {
        let graph = |&pattern: &Pattern| TaskGraph { pattern, radix: self.radix, width: self.width };
        self.pattern.iter().map(graph).collect()
    }

    /// The number of tasks of all graphs.
    pub fn tasks(&self) -> usize {
        self.pattern.len() * self.width * self.steps
    }

    /// Measures all sizes in turns.
    pub fn measure(&self, mut run: impl FnMut(u32) -> Duration) -> Vec<Sample> {
        let mut samples: Vec<Sample> =
            self.iterations.iter().map(|&iterations| Sample { iterations, time: Duration::MAX }).collect();
        for _ in 0..self.rounds {
            for sample in &mut samples {
                sample.time = sample.time.min(run(sample.iterations));
            }
        }
        samples
    }

    /// The samples as a table, with METG(50%) on `cores` cores.
    pub fn report(&self, samples: &[Sample], cores: usize) -> String {
        if self.raw {
            let line = |sample: &Sample| format!("{} {:.9}\n", sample.iterations, sample.time.as_secs_f64());
            return samples.iter().map(line).collect();
        }
        let points = self.points(samples, cores);
        let mut text = format!("{:>10} {:>12} {:>11}\n", "iterations", "us per task", "efficiency");
        for &(iterations, grain_us, efficiency) in &points {
            text += &format!("{iterations:>10} {grain_us:>12.3} {:>10.1}%\n", 100.0 * efficiency);
        }
        match metg_us(&points) {
            Some(metg) => text + &format!("METG(50%): {metg:.3} us\n"),
            None => text + "METG(50%): not reached\n",
        }
    }

    /// Iterations, microseconds of a core for each task, and efficiency against the largest grain.
    fn points(&self, samples: &[Sample], cores: usize) -> Vec<(u32, f64, f64)> {
        let grain_us = |sample: &Sample| sample.time.as_secs_f64() * 1e6 * cores as f64 / self.tasks().max(1) as f64;
        let largest =
            samples.iter().max_by_key(|sample| sample.iterations).map(|s| (f64::from(s.iterations), grain_us(s)));
        let (most, longest) = largest.unwrap_or((1.0, 1.0));
        let point = |sample: &Sample| {
            let grain = grain_us(sample);
            (sample.iterations, grain, f64::from(sample.iterations) / grain / (most / longest))
        };
        samples.iter().map(point).collect()
    }
}

/// The grain at which the efficiency falls through one half, interpolated between the samples around it.
fn metg_us(points: &[(u32, f64, f64)]) -> Option<f64> {
    let mut points = points.to_vec();
    points.sort_by_key(|point| std::cmp::Reverse(point.0));
    let below = points.iter().position(|point| point.2 < 0.5)?;
    let (&(_, grain, efficiency), &(_, finer, lower)) = (points.get(below.checked_sub(1)?)?, points.get(below)?);
    Some(finer + (grain - finer) * (0.5 - lower) / (efficiency - lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: Pattern, step: usize, point: usize, expected: &[usize]) {
        assert_eq!(TaskGraph { pattern, radix: 5, width: 10 }.dependencies(step, point), expected);
    }

    #[test]
    fn dependencies_are_those_of_the_published_table() {
        check(Pattern::AllToAll, 0, 3, &[]);
        check(Pattern::Trivial, 4, 3, &[]);
        check(Pattern::Stencil1d, 1, 0, &[0, 1]);
        check(Pattern::Stencil1d, 1, 9, &[8, 9]);
        check(Pattern::Nearest, 1, 4, &[2, 3, 4, 5, 6]);
        check(Pattern::Spread, 1, 4, &[0, 2, 4, 6, 8]);
        check(Pattern::Spread, 2, 4, &[1, 3, 4, 7, 9]);
        check(Pattern::Fft, 1, 4, &[3, 4, 5]);
        check(Pattern::Fft, 3, 4, &[0, 4, 8]);
        check(Pattern::Dom, 1, 4, &[3, 4]);
        check(Pattern::AllToAll, 1, 4, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn the_grain_at_half_efficiency_is_interpolated() {
        assert_eq!(metg_us(&[(100, 10.0, 1.0), (10, 2.0, 0.6), (5, 1.0, 0.4)]), Some(1.5));
        assert_eq!(metg_us(&[(100, 10.0, 1.0), (10, 2.0, 0.6)]), None);
    }
}

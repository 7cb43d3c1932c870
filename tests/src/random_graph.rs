//! Random task graphs, and what they compute in program order: for any transport.
//!
//! `tests/schedules` compiles this file on the runtime's files with shuttle's primitives.
//! Never here: ranks, and who runs a graph.

use girih_runtime::comm::Reduction;
use girih_runtime::error::Error;
use girih_runtime::graph::Access::{Read, Write};
use girih_runtime::graph::{Body, Graph, GraphBuilder};
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::memory::{BlockCell, Memory};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// One step of a random program over integer cells, one cell a block.
#[derive(Clone, Debug)]
enum Step {
    /// `target ← 3·target + Σ sources + number`, on the target's home.
    Task { target: usize, sources: Vec<usize>, number: i64 },
    /// One cell of each rank becomes the sum of all.
    AllReduce(Vec<usize>),
    /// One cell of each rank becomes the root's.
    Broadcast(usize, Vec<usize>),
    /// One cell of the root becomes the least of all ranks'.
    Reduce(usize, Vec<usize>),
    /// One cell of each rank becomes the sum of those before it, and of itself if the flag says so.
    Scan(bool, Vec<usize>),
    /// One cell of each rank is not used before all ranks have come there.
    Barrier(Vec<usize>),
}

/// A random program on so many ranks.
#[derive(Clone, Debug)]
pub struct Program {
    ranks: usize,
    cells: usize,
    /// Words of a cell, of which programs compute with the first.
    words: usize,
    steps: Vec<Step>,
}

impl Program {
    /// The program of a seed.
    pub fn random(seed: u64, ranks: usize) -> Program {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = move |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % bound as u64) as usize
        };
        let cells = ranks * (1 + next(4));
        let steps = (0..5 + next(60)).map(|number| {
            // Cell c lives on rank c % ranks, so a cell of every rank is picked by its round.
            let of_each: Vec<usize> = (0..ranks).map(|rank| rank + ranks * next(cells / ranks)).collect();
            match next(16) {
                0 => Step::AllReduce(of_each),
                1 => Step::Broadcast(next(ranks), of_each),
                2 => Step::Reduce(next(ranks), of_each),
                3 => Step::Scan(next(2) == 0, of_each),
                4 => Step::Barrier(of_each),
                _ => {
                    let target = next(cells);
                    let mut sources: Vec<usize> = (0..next(4)).map(|_| next(cells)).filter(|&c| c != target).collect();
                    sources.sort_unstable();
                    sources.dedup();
                    Step::Task { target, sources, number: number as i64 }
                }
            }
        });
        Program { ranks, cells, words: 1, steps: steps.collect() }
    }

    /// The same program on cells of so many words; long ones do not share messages.
    #[must_use]
    pub fn of_words(self, words: usize) -> Program {
        Program { words, ..self }
    }

    /// The oracle: one loop, in program order.
    pub fn serial(&self, epochs: usize) -> Vec<i64> {
        let mut cells: Vec<i64> = (0..self.cells as i64).collect();
        for _ in 0..epochs {
            for step in &self.steps {
                match step {
                    Step::Task { target, sources, number } => {
                        let sum: i64 = sources.iter().fold(0, |sum, &source| sum.wrapping_add(cells[source]));
                        cells[*target] = cells[*target].wrapping_mul(3).wrapping_add(sum).wrapping_add(*number);
                    }
                    Step::AllReduce(of_each) => {
                        let sum = of_each.iter().fold(0_i64, |sum, &cell| sum.wrapping_add(cells[cell]));
                        of_each.iter().for_each(|&cell| cells[cell] = sum);
                    }
                    Step::Broadcast(root, of_each) => {
                        let value = cells[of_each[*root]];
                        of_each.iter().for_each(|&cell| cells[cell] = value);
                    }
                    Step::Reduce(root, of_each) => {
                        cells[of_each[*root]] = of_each.iter().map(|&cell| cells[cell]).min().expect("a rank");
                    }
                    Step::Scan(inclusive, of_each) => {
                        let mut before = 0_i64;
                        for &cell in of_each {
                            let sum = before.wrapping_add(cells[cell]);
                            cells[cell] = if *inclusive { sum } else { before };
                            before = sum;
                        }
                    }
                    Step::Barrier(_) => {}
                }
            }
        }
        cells
    }

    /// The last step that is a task, if there is one.
    pub fn last_task(&self) -> Option<usize> {
        self.steps.iter().rposition(|step| matches!(step, Step::Task { .. }))
    }

    /// The program's graph, with its cells at their first values.
    ///
    /// # Errors
    /// `Error::Memory`.
    pub fn record(&self, mut graph: GraphBuilder, memory: &Arc<Memory>) -> Result<Recorded, Error> {
        let home = |cell: usize| Rank::from(cell % self.ranks);
        let fails = Arc::new(AtomicUsize::new(usize::MAX));
        let (mut blocks, mut mine) = (Vec::new(), Vec::new());
        for cell in 0..self.cells {
            let here = home(cell) == graph.rank();
            let bytes = self.words * size_of::<i64>();
            let storage = here.then(|| memory.block(bytes)).transpose()?;
            if let Some(storage) = &storage {
                storage.write().fill(0);
                storage.write().of_mut::<i64>()[0] = cell as i64;
                mine.push((cell, Arc::clone(storage)));
            }
            blocks.push(graph.bind(home(cell), bytes, storage));
        }
        for (place, step) in self.steps.iter().enumerate() {
            match step.clone() {
                Step::Task { target, sources, number } => {
                    let mut accesses = vec![Write(blocks[target])];
                    accesses.extend(sources.iter().map(|&source| Read(blocks[source])));
                    let fails = Arc::clone(&fails);
                    graph.task("step", home(target), 0, &accesses, || task(place, sources.len(), number, fails))?;
                }
                Step::AllReduce(of_each) => graph.all_reduce(Reduction::SumI64, &of_ranks(&blocks, &of_each)),
                Step::Broadcast(root, of_each) => graph.broadcast(Rank::from(root), &of_ranks(&blocks, &of_each)),
                Step::Reduce(root, of_each) => {
                    graph.reduce(Rank::from(root), Reduction::MinI64, &of_ranks(&blocks, &of_each));
                }
                Step::Scan(true, of_each) => graph.scan(Reduction::SumI64, &of_ranks(&blocks, &of_each)),
                Step::Scan(false, of_each) => graph.exclusive_scan(Reduction::SumI64, &of_ranks(&blocks, &of_each)),
                Step::Barrier(of_each) => graph.barrier(&of_ranks(&blocks, &of_each)),
            }
        }
        Ok(Recorded { graph: Arc::new(graph.finish()?), mine, fails })
    }
}

/// What a task says that is told to fail.
pub const TOLD: &str = "was told to fail";

/// A program as one rank has recorded it.
pub struct Recorded {
    /// The graph.
    pub graph: Arc<Graph>,
    /// This rank's cells by their numbers.
    mine: Vec<(usize, Arc<BlockCell>)>,
    /// The step that fails.
    fails: Arc<AtomicUsize>,
}

impl Recorded {
    /// Lets a step fail from the next launch on, or none.
    pub fn fail(&self, step: Option<usize>) {
        self.fails.store(step.unwrap_or(usize::MAX), Relaxed); // reaches the workers with the launch
    }

    /// Gives this rank's cells their first values.
    pub fn reset(&self) {
        for (cell, storage) in &self.mine {
            storage.write().of_mut::<i64>()[0] = *cell as i64;
        }
    }

    /// The values of this rank's cells, by their numbers.
    pub fn cells(&self) -> Vec<(usize, i64)> {
        self.mine.iter().map(|(cell, storage)| (*cell, storage.read().of::<i64>()[0])).collect()
    }
}

/// `target ← 3·target + Σ sources + number`, unless it is this step that fails.
fn task(place: usize, sources: usize, number: i64, fails: Arc<AtomicUsize>) -> Body {
    Box::new(move |context| {
        // Relaxed: stored before the launch.
        if fails.load(Relaxed) == place {
            return Err(format!("step {place} {TOLD}"));
        }
        let sum = (1..=sources).fold(0_i64, |sum, source| sum.wrapping_add(context.read(source).of::<i64>()[0]));
        let mut target = context.write(0);
        let value = &mut target.of_mut::<i64>()[0];
        *value = value.wrapping_mul(3).wrapping_add(sum).wrapping_add(number);
        Ok(())
    })
}

fn of_ranks(blocks: &[BlockId], cells: &[usize]) -> Vec<BlockId> {
    cells.iter().map(|&cell| blocks[cell]).collect()
}

//! Greedy k-means++ with scikit-learn's draws, the same seeds at every number of ranks.
//!
//! Each new centre is the best of several candidate rows, drawn with chances in proportion to their squared distance
//! from the centres so far. Distances are summed in fixed point, so the draws hit the same rows however the rows are
//! divided. Two graphs alternate: `find` brings the rows that the draws hit to all ranks, by a look at few tiles;
//! `measure` takes the newest centre into the closest distances and finds the potentials of those candidates.
//! Source: Arthur and Vassilvitskii (2007); the greedy form and the use of draws as in scikit-learn's `KMeans`.
//! Traffic for each centre: an all-reduce of p·(2·l + 1) + 1 words, and one of l·(d + 1) + 1 words at most.

use crate::closest::{Closest, Step};
use crate::draw::{draw_first, holders, reach};
use crate::error::{Error, Result};
use crate::observations::Observations;
use crate::scratch::Scratches;
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{Real, Scale, Scratch, find, lower_closest};
use girih_runtime::fingerprint::Fingerprint;
use girih_runtime::graph::Access::{Read, Write};
use girih_runtime::graph::{Body, Graph, GraphBuilder};
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::memory::BlockCell;
use girih_runtime::world::World;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

const WORD: usize = size_of::<i64>();
/// Rows of a worker for each centre, above which distances between centres cost little.
const APART_SHARE: usize = 8;

/// Rows chosen as centres.
#[derive(Clone, Debug, PartialEq)]
pub struct Seeds<T> {
    /// Their numbers, counted over all ranks.
    pub rows: Vec<usize>,
    /// Their values, k×d in C order.
    pub centres: Vec<T>,
}

impl<T: Real + Element + Default> Observations<T> {
    /// Rows for k starting centres, k×d in C order, on all ranks.
    ///
    /// `first` picks the first row; `draws`, k − 1 rows of equally many numbers in C order, the candidates of each
    /// further centre. All lie in [0, 1) and are equal on all ranks.
    /// Cost: 3·n·d flops for each candidate over all ranks, and one read of the data for each centre, but for rows that
    /// neither the centre nor a candidate can come near to; 12 bytes for each row, and where memory allows, of dense
    /// rows of 32 columns and more, d + 24 (and what rounds d up to a multiple of 16).
    ///
    /// # Errors
    /// Replicated: `Error::Value` if k exceeds the rows. As the runtime's otherwise.
    pub fn plus_plus(&self, first: f64, draws: &[f64], trials: usize) -> Result<Seeds<T>> {
        let clusters = 1 + draws.len() / trials.max(1);
        if clusters > self.rows() {
            let rows = self.rows();
            return Err(Error::Value(format!("n_samples={rows} should be >= n_clusters={clusters}.")));
        }
        let first = if self.fixed().weights().is_some() {
            self.draw_weighted(first)?
        } else {
            let chance = T::narrow(1.0 / self.rows() as f64).widen();
            draw_first(self.rows(), chance, first)
        };
        let mut seeds = Seeds { rows: vec![first], centres: self.rows_at(&[first])? };
        if clusters == 1 {
            return Ok(seeds);
        }
        // The course of the search follows from these and from what all ranks hold after each graph.
        let plan = Fingerprint::default().word(first as u64).bytes(bytemuck::cast_slice(draws));
        let search = Search::new(self, trials, plan);
        let mut search = self.agreed(search, |search| vec![&*search.find, &*search.measure])?;
        // The first run finds the largest distance, which sets the scale of the second.
        search.measure(&seeds.centres, None, &[])?;
        let mut best = search.measure(&seeds.centres, None, &seeds.centres)?;
        let mut chosen = None;
        for draws in draws.chunks_exact(trials) {
            let newest = &seeds.centres[seeds.centres.len() - self.columns()..];
            let candidates = search.find(newest, chosen, search.targets(&best, draws))?;
            best = search.measure(&seeds.centres, chosen, &candidates.centres)?;
            chosen = Some(best.candidate);
            let own = best.candidate * self.columns()..(best.candidate + 1) * self.columns();
            seeds.centres.extend_from_slice(&candidates.centres[own]);
            seeds.rows.push(candidates.rows[best.candidate]);
        }
        Ok(seeds)
    }
}

/// What the graphs read that changes from run to run; set between runs, read within.
struct Parameters<T> {
    step: Arc<Step<T>>,
    targets: Vec<Target>,
}

/// A row to be found: on this rank, the one of `tile` at which the potential reaches `potential`.
#[derive(Clone, Copy, Debug)]
struct Target {
    draw: usize,
    tile: usize,
    potential: i128,
}

/// The chosen candidate, with the potential it leaves on each rank and on each tile of this one.
struct Best {
    candidate: usize,
    of_ranks: Vec<i128>,
    of_tiles: Vec<i128>,
}

struct Search<'a, T> {
    observations: &'a Observations<T>,
    trials: usize,
    parameters: Arc<Mutex<Parameters<T>>>,
    measure: Arc<Graph>,
    measured: BlockId,
    of_tiles: Vec<BlockId>,
    find: Arc<Graph>,
    found: BlockId,
    /// No row is farther from its closest centre, on any rank.
    largest: f64,
    scratch: Scratch<T>,
}

impl<'a, T: Real + Element + Default> Search<'a, T> {
    fn new(observations: &'a Observations<T>, trials: usize, plan: Fingerprint) -> Result<Search<'a, T>> {
        let world = observations.world();
        let closest = Closest::of_tiles(observations, trials)?;
        let scale = Scale::new(0.0, 1);
        let (newest, apart, candidates) = (Vec::new(), Vec::new(), Vec::new());
        let step = Arc::new(Step { newest, chosen: None, apart, candidates, scale, late: false });
        let parts = Parts {
            observations: observations.clone(),
            trials,
            closest,
            parameters: Arc::new(Mutex::new(Parameters { step, targets: Vec::new() })),
            scratches: Scratches::new(),
        };
        let (measure, measured, of_tiles) = parts.measure_graph(world, plan)?;
        let (find, found) = parts.find_graph(world, plan)?;
        let parameters = parts.parameters;
        Ok(Search {
            observations,
            trials,
            parameters,
            measure,
            measured,
            of_tiles,
            find,
            found,
            largest: 0.0,
            scratch: Scratch::new(),
        })
    }

    /// Brings the rows that `targets` ask for to all ranks: rows at which potentials reach them once the newest centre
    /// is taken into the closest distances; it was `chosen` of the last candidates.
    fn find(&mut self, newest: &[T], chosen: Option<usize>, targets: Vec<Target>) -> Result<Seeds<T>> {
        let (world, columns) = (self.observations.world(), self.observations.columns());
        self.set(|parameters| {
            let (apart, candidates, scale) = (Vec::new(), Vec::new(), parameters.step.scale);
            parameters.step = Arc::new(Step { newest: newest.to_vec(), chosen, apart, candidates, scale, late: false });
            parameters.targets = targets;
        });
        world.run_again(&self.find)?;
        let words = self.find.cell(self.found).read();
        let rows = &words.of::<i64>()[..self.trials * row_words::<T>(columns)];
        let mut found = Seeds { rows: Vec::new(), centres: Vec::new() };
        for row in rows.chunks_exact(row_words::<T>(columns)) {
            found.rows.push(row[0] as usize);
            found.centres.extend_from_slice(&bytemuck::cast_slice(&row[1..])[..columns]);
        }
        Ok(found)
    }

    /// Takes the newest centre, the last, into the closest distances; the candidate that leaves the least potential
    /// then, the first of several. The newest centre was `chosen` of the last candidates.
    fn measure(&mut self, centres: &[T], chosen: Option<usize>, candidates: &[T]) -> Result<Best> {
        let (world, columns) = (self.observations.world(), self.observations.columns());
        let (earlier, newest) = centres.split_at(centres.len() - columns);
        // Infinity spares no row. Every rank finds these distances alone, so they must be few beside its rows.
        let mut apart = vec![f64::INFINITY; centres.len() / columns];
        let rows_each = self.observations.rows() / (world.size() * world.workers());
        if !self.observations.is_sparse() && APART_SHARE * apart.len() <= rows_each {
            let (of_earlier, of_newest) = apart.split_at_mut(earlier.len() / columns);
            for candidate in candidates.chunks_exact(columns) {
                lower_closest(earlier, candidate, of_earlier, &mut self.scratch);
                lower_closest(newest, candidate, of_newest, &mut self.scratch);
            }
            lower_closest(earlier, newest, of_earlier, &mut self.scratch);
        }
        let bound = self.largest * self.observations.fixed().weight_bound();
        let scale = Scale::new(bound, self.observations.rows() as u64);
        // Of several centres that are drawn alike each is nearest to a row as often.
        let late = apart.len() > self.trials;
        let (newest, candidates) = (newest.to_vec(), candidates.to_vec());
        let count = candidates.len() / columns;
        self.set(|parameters| {
            parameters.step = Arc::new(Step { newest, chosen, apart, candidates, scale, late });
        });
        world.run_again(&self.measure)?;
        let words = self.measure.cell(self.measured).read();
        let potential = |words: &[i64], candidate: usize| scale.total([words[2 * candidate], words[2 * candidate + 1]]);
        let of_ranks: Vec<&[i64]> = words.of::<i64>().chunks_exact(2 * self.trials + 1).take(world.size()).collect();
        let largest = of_ranks.iter().map(|words| f64::from_bits(words[2 * self.trials] as u64));
        self.largest = largest.fold(0.0, f64::max);
        let total = |&candidate: &usize| of_ranks.iter().map(|words| potential(words, candidate)).sum::<i128>();
        let candidate = (0..count).min_by_key(total).unwrap_or(0);
        let of_tiles = self.of_tiles.iter().map(|&tile| potential(self.measure.cell(tile).read().of(), candidate));
        Ok(Best {
            candidate,
            of_ranks: of_ranks.iter().map(|words| potential(words, candidate)).collect(),
            of_tiles: of_tiles.collect(),
        })
    }

    /// Where this rank must look for the rows that the draws hit; draws that other ranks' rows meet are left out.
    fn targets(&self, best: &Best, draws: &[f64]) -> Vec<Target> {
        let world = self.observations.world();
        let total: i128 = best.of_ranks.iter().sum();
        let holders = holders(self.observations.rows(), world);
        let mut targets = Vec::new();
        for (draw, &number) in draws.iter().enumerate() {
            let wanted = (number * total as f64).ceil() as i128;
            let (rank, wanted) = reach(&best.of_ranks, &holders, wanted.min(total));
            if rank == world.rank().index() {
                let all = vec![true; best.of_tiles.len()];
                let (tile, potential) = reach(&best.of_tiles, &all, wanted);
                targets.push(Target { draw, tile, potential });
            }
        }
        targets
    }

    fn set(&self, change: impl FnOnce(&mut Parameters<T>)) {
        change(&mut self.parameters.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The number of a row, then its values.
fn row_words<T>(columns: usize) -> usize {
    1 + (columns * size_of::<T>()).div_ceil(WORD)
}

/// What both graphs are made from.
struct Parts<T> {
    observations: Observations<T>,
    trials: usize,
    closest: Vec<Closest>,
    parameters: Arc<Mutex<Parameters<T>>>,
    scratches: Scratches<T>,
}

impl<T: Real + Element + Default> Parts<T> {
    /// Potentials of the candidates and the largest closest distance: words of each rank, one rank after another, and
    /// of each tile of this rank.
    fn measure_graph(&self, world: &World, plan: Fingerprint) -> Result<(Arc<Graph>, BlockId, Vec<BlockId>)> {
        let mut graph = world.graph("kmeans++");
        graph.describe("potentials of candidates", plan);
        let rank = graph.rank();
        let words = 2 * self.trials + 1;
        let blocks = self.bind(&mut graph);
        let mut of_tiles = Vec::new();
        for (index, (closest, cells)) in blocks.iter().enumerate() {
            let out = graph.block(rank, words * WORD)?;
            let domain = world.domain_of_tile(index, blocks.len());
            let mut accesses = vec![Write(*closest), Write(out)];
            accesses.extend(cells.iter().map(|&cell| Read(cell)));
            graph.task("measure", rank, domain, &accesses, || self.measure_tile(index))?;
            of_tiles.push(out);
        }
        let (slots, mine) = slots(&mut graph, world.size() * words + 1)?;
        let mut accesses = vec![Write(mine)];
        accesses.extend(of_tiles.iter().map(|&tile| Read(tile)));
        let (tiles, slot) = (of_tiles.len(), rank.index() * words);
        graph.task("merge", rank, 0, &accesses, || {
            Box::new(move |context| {
                let mut all = context.write(0);
                let all = all.of_mut::<i64>();
                all.fill(0);
                let (largest, sums) = all[slot..slot + words].split_last_mut().expect("a word for the largest");
                for tile in 1..=tiles {
                    let tile = context.read(tile);
                    let (own, words) = tile.of::<i64>().split_last().expect("a word for the largest");
                    // Numbers that are not negative are ordered as their bits.
                    *largest = (*largest).max(*own);
                    sums.iter_mut().zip(words).for_each(|(sum, word)| *sum = sum.wrapping_add(*word));
                }
                Ok(())
            })
        })?;
        graph.all_reduce_and_agree(&slots);
        Ok((Arc::new(graph.finish()?), mine, of_tiles))
    }

    fn measure_tile(&self, index: usize) -> Body {
        let (parameters, scratches) = (Arc::clone(&self.parameters), self.scratches.clone());
        let (tile, columns) = (self.observations.tiles()[index].clone(), self.observations.columns());
        let (kept, origin) = (self.closest[index].clone(), Arc::clone(self.observations.origin()));
        Box::new(move |context| {
            let (mut closest, mut out) = (context.write(0), context.write(1));
            let step = Arc::clone(&parameters.lock().unwrap_or_else(PoisonError::into_inner).step);
            let (largest, out) = out.of_mut::<i64>().split_last_mut().expect("a word for the largest");
            out.fill(0);
            let out = &mut out[..step.candidates.len() / columns * 2];
            let weights = tile.weights.as_ref().map(|weights| weights.cell.borrow());
            let weights = weights.as_ref().map(|all| tile.weights_of(all.of::<T>()));
            let closest = (closest.of_mut::<f64>(), weights);
            let found = tile
                .lend(|rows| scratches.lend(|scratch| kept.measure((&rows, &origin), &step, closest, out, scratch)))?;
            *largest = found.to_bits() as i64;
            Ok(())
        })
    }

    /// The rows that draws hit.
    fn find_graph(&self, world: &World, plan: Fingerprint) -> Result<(Arc<Graph>, BlockId)> {
        let mut graph = world.graph("kmeans++");
        graph.describe("rows that draws hit", plan);
        let rank = graph.rank();
        let blocks = self.bind(&mut graph);
        let rows_words = self.trials * row_words::<T>(self.observations.columns());
        let (slots, mine) = slots(&mut graph, rows_words + 1)?;
        let mut accesses = vec![Write(mine)];
        accesses.extend(blocks.iter().map(|(closest, _)| Read(*closest)));
        graph.task("find", rank, 0, &accesses, || self.find_rows())?;
        graph.all_reduce_and_agree(&slots);
        Ok((Arc::new(graph.finish()?), mine))
    }

    /// Reads, behind the block it writes, every tile's closest distances.
    fn find_rows(&self) -> Body {
        let (parameters, scratches) = (Arc::clone(&self.parameters), self.scratches.clone());
        let (tiles, kept) = (self.observations.tiles().to_vec(), self.closest.clone());
        let columns = self.observations.columns();
        Box::new(move |context| {
            let mut out = context.write(0);
            let out = out.of_mut::<i64>();
            out.fill(0);
            let Parameters { step, targets } = &*parameters.lock().unwrap_or_else(PoisonError::into_inner);
            // The closest distances of tiles that draws hit, with the newest centre.
            let mut lowered: HashMap<usize, Vec<f64>> = HashMap::new();
            for target in targets {
                let tile = &tiles[target.tile];
                if let Entry::Vacant(vacant) = lowered.entry(target.tile) {
                    let closest = vacant.insert(context.read(1 + target.tile).of::<f64>().to_vec());
                    let kept = &kept[target.tile];
                    tile.lend(|rows| scratches.lend(|scratch| kept.lower(&rows, step, closest, scratch)))?;
                }
                let closest = &lowered[&target.tile];
                let weights = tile.weights.as_ref().map(|weights| weights.cell.borrow());
                let weights = weights.as_ref().map(|all| tile.weights_of(all.of::<T>()));
                let found = find((&closest[..], weights), &step.scale, target.potential);
                let row = found.ok_or("the potentials of a tile changed between two passes")?;
                let row = tile.rows.start + row;
                let words = row_words::<T>(columns);
                let (index, values) = out[target.draw * words..][..words].split_at_mut(1);
                index[0] = row as i64;
                let found = tile.lend::<T, _>(|rows| rows.row(row - tile.rows.start, columns))?;
                bytemuck::cast_slice_mut(values)[..columns].copy_from_slice(&found);
            }
            Ok(())
        })
    }

    /// Blocks of this rank's tiles: closest distances, and what holds rows and weights.
    fn bind(&self, graph: &mut GraphBuilder) -> Vec<(BlockId, Vec<BlockId>)> {
        let rank = graph.rank();
        let mut bound = HashMap::new();
        let tiles = self.observations.tiles().iter().zip(&self.closest);
        let blocks = tiles.map(|(tile, closest)| {
            let mut bind = |cell: &Arc<BlockCell>| {
                let bind = || graph.bind(rank, cell.bytes(), Some(Arc::clone(cell)));
                *bound.entry(Arc::as_ptr(cell)).or_insert_with(bind)
            };
            (bind(&closest.distances), tile.cells().map(bind).collect())
        });
        blocks.collect()
    }
}

/// A block of `words` on every rank, and this rank's.
fn slots(graph: &mut GraphBuilder, words: usize) -> Result<(Vec<BlockId>, BlockId)> {
    let blocks = (0..graph.size()).map(|rank| graph.block(Rank::from(rank), words * WORD));
    let blocks: Vec<BlockId> = blocks.collect::<Result<_, _>>()?;
    let mine = blocks[graph.rank().index()];
    Ok((blocks, mine))
}

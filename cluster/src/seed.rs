//! Greedy k-means++ with scikit-learn's draws, the same seeds at every number of ranks.
//!
//! Each new centre is the best of several candidate rows, drawn with chances in proportion to their squared distance
//! from the centres so far. Distances are summed in fixed point, so the draws hit the same rows however the rows are
//! divided. Two graphs alternate: `measure` finds the potentials of the candidates, `lower` takes the best of them
//! into the closest distances and finds the next candidates.
//! Source: Arthur and Vassilvitskii (2007); the greedy form and the use of draws as in scikit-learn's `KMeans`.
//! Traffic for each centre: an all-reduce of 2·p·l + 1 words, and one of l·(d + 2) + p + 1 words at most.

use crate::error::{Error, Result};
use crate::observations::Observations;
use crate::scratch::Scratches;
use crate::tile::{Rows, Tile};
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{
    Real, Scale, candidate_potentials, find, lower_closest, sparse_lower_closest, sparse_potentials,
};
use girih_runtime::fingerprint::Fingerprint;
use girih_runtime::graph::Access::{Read, Write};
use girih_runtime::graph::{Access, Body, Graph, GraphBuilder};
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::memory::BlockCell;
use girih_runtime::world::World;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

const WORD: usize = size_of::<i64>();

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
    /// Cost: 3·n·d flops for each candidate over all ranks; the data are read twice for each centre.
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
        let mut search = self.agreed(search, |search| vec![&*search.lower, &*search.measure])?;
        search.lower(&seeds.centres, &[])?;
        let mut best = search.measure(&seeds.centres)?;
        for draws in draws.chunks_exact(trials) {
            let newest = seeds.centres[seeds.centres.len() - self.columns()..].to_vec();
            let candidates = search.lower(&newest, &search.targets(&best, draws))?;
            best = search.measure(&candidates.centres)?;
            let chosen = best.candidate * self.columns()..(best.candidate + 1) * self.columns();
            seeds.centres.extend_from_slice(&candidates.centres[chosen]);
            seeds.rows.push(candidates.rows[best.candidate]);
        }
        Ok(seeds)
    }
}

impl<T: Real + Element + Default> Observations<T> {
    /// The first row at which the running weight exceeds the share `draw` of all weights.
    ///
    /// Cost: an addition for each of this rank's rows; two control messages.
    fn draw_weighted(&self, draw: f64) -> Result<usize> {
        let scale = self.fixed().weights().expect("only weighted rows are drawn by weight");
        let weight = |weight: &T| scale.total(scale.split(weight.widen()));
        let mut of_tiles = Vec::with_capacity(self.tiles().len());
        let mut lowest = i128::MAX;
        for tile in self.tiles() {
            let cell = tile.weights.as_ref().expect("all tiles have weights").cell.read();
            let weights = tile.weights_of(cell.of::<T>());
            lowest = weights.iter().map(weight).fold(lowest, i128::min);
            of_tiles.push(weights.iter().map(weight).sum::<i128>());
        }
        let told = [of_tiles.iter().sum::<i128>(), lowest.min(0)].map(i128::to_ne_bytes).concat();
        let told = self.world().all_gather_bytes(told)?;
        let words = told.iter().flat_map(|part| part.as_chunks().0).map(|&word| i128::from_ne_bytes(word));
        let words: Vec<i128> = words.collect();
        if words.iter().skip(1).step_by(2).any(|&lowest| lowest < 0) {
            return Err(Error::Value("probabilities are not non-negative".to_string()));
        }
        let of_ranks: Vec<i128> = words.iter().step_by(2).copied().collect();
        let total: i128 = of_ranks.iter().sum();
        let wanted = ((draw * total as f64) as i128 + 1).min(total);
        let (holder, wanted) = reach(&of_ranks, &holders(self.rows(), self.world()), wanted);
        let mut found = Vec::new();
        if holder == self.world().rank().index() {
            let (tile, wanted) = reach(&of_tiles, &vec![true; of_tiles.len()], wanted);
            let tile = &self.tiles()[tile];
            let cell = tile.weights.as_ref().expect("all tiles have weights").cell.read();
            let mut running = 0;
            let reached = tile.weights_of(cell.of::<T>()).iter().position(|each| {
                running += weight(each);
                running >= wanted
            });
            let row = tile.rows.start + reached.expect("the tile's weights reach their own sum");
            found = (row as u64).to_ne_bytes().to_vec();
        }
        let found = self.world().all_gather_bytes(found)?.concat();
        Ok(u64::from_ne_bytes(found.try_into().expect("one rank holds the row")) as usize)
    }
}

/// The row that `numpy.random.RandomState.choice(rows, p=[chance] * rows)` picks with the uniform number `draw`.
///
/// Cost: two additions a row, in NumPy's order.
fn draw_first(rows: usize, chance: f64, draw: f64) -> usize {
    let total = (0..rows).fold(0.0, |sum, _| sum + chance);
    let mut running = 0.0;
    let found = (0..rows).find(|_| {
        running += chance;
        running / total > draw
    });
    found.unwrap_or(rows - 1)
}

/// What the graphs read that changes from run to run; set between runs, read within.
struct Parameters<T> {
    candidates: Vec<T>,
    scale: Scale,
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
    lower: Arc<Graph>,
    lowered: BlockId,
}

impl<'a, T: Real + Element + Default> Search<'a, T> {
    fn new(observations: &'a Observations<T>, trials: usize, plan: Fingerprint) -> Result<Search<'a, T>> {
        let world = observations.world();
        let memory = world.memory();
        let closest: Vec<Arc<BlockCell>> = observations
            .tiles()
            .iter()
            .map(|tile| {
                let cell = memory.block(tile.rows.len() * size_of::<f64>())?;
                cell.write().of_mut::<f64>().fill(f64::INFINITY);
                Ok(cell)
            })
            .collect::<Result<_>>()?;
        let parameters = Parameters { candidates: Vec::new(), scale: Scale::new(0.0, 1), targets: Vec::new() };
        let parts = Parts {
            observations: observations.clone(),
            trials,
            closest,
            parameters: Arc::new(Mutex::new(parameters)),
            scratches: Scratches::new(),
        };
        let (measure, measured, of_tiles) = parts.measure_graph(world, plan)?;
        let (lower, lowered) = parts.lower_graph(world, plan)?;
        let parameters = parts.parameters;
        Ok(Search { observations, trials, parameters, measure, measured, of_tiles, lower, lowered })
    }

    /// Takes a centre into the closest distances, and brings the rows that `targets` ask for to all ranks.
    fn lower(&mut self, centre: &[T], targets: &[Target]) -> Result<Seeds<T>> {
        let (world, columns) = (self.observations.world(), self.observations.columns());
        self.set(|parameters| {
            parameters.candidates = centre.to_vec();
            parameters.targets = targets.to_vec();
        });
        world.run_again(&self.lower)?;
        let words = self.lower.cell(self.lowered).read();
        let words = words.of::<i64>();
        let (rows, largest) = words.split_at(self.trials * row_words::<T>(columns));
        let largest = largest[..world.size()].iter().map(|&bits| f64::from_bits(bits as u64));
        let bound = largest.fold(0.0, f64::max);
        let bound = bound * self.observations.fixed().weight_bound();
        let scale = Scale::new(bound, self.observations.rows() as u64);
        self.set(|parameters| parameters.scale = scale);
        let mut found = Seeds { rows: Vec::new(), centres: Vec::new() };
        for row in rows.chunks_exact(row_words::<T>(columns)) {
            found.rows.push(row[0] as usize);
            found.centres.extend_from_slice(&bytemuck::cast_slice(&row[1..])[..columns]);
        }
        Ok(found)
    }

    /// The candidate that leaves the least potential, the first of several.
    fn measure(&mut self, candidates: &[T]) -> Result<Best> {
        let world = self.observations.world();
        self.set(|parameters| parameters.candidates = candidates.to_vec());
        world.run_again(&self.measure)?;
        let scale = self.parameters.lock().unwrap_or_else(PoisonError::into_inner).scale;
        let count = candidates.len() / self.observations.columns();
        let words = self.measure.cell(self.measured).read();
        let potential = |words: &[i64], candidate: usize| scale.total([words[2 * candidate], words[2 * candidate + 1]]);
        let of_ranks: Vec<&[i64]> = words.of::<i64>().chunks_exact(2 * self.trials).take(world.size()).collect();
        let total = |&candidate: &usize| of_ranks.iter().map(|words| potential(words, candidate)).sum::<i128>();
        let candidate = (0..count).min_by_key(total).expect("there is a candidate");
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

/// The first part that has rows and at which the running potential reaches `wanted`, with what is left to reach there.
fn reach(potentials: &[i128], has_rows: &[bool], wanted: i128) -> (usize, i128) {
    let mut before = 0;
    for (part, &potential) in potentials.iter().enumerate() {
        if has_rows[part] && before + potential >= wanted {
            return (part, wanted - before);
        }
        before += potential;
    }
    unreachable!("the target is at most the sum of all potentials")
}

/// For each rank, whether it has rows.
fn holders(rows: usize, world: &World) -> Vec<bool> {
    let distribution = girih_arrays::RowDistribution::new(rows, world.size(), world.config().tile_bytes);
    (0..world.size()).map(|rank| !distribution.rows_of(Rank::from(rank)).is_empty()).collect()
}

/// The number of a row, then its values.
fn row_words<T>(columns: usize) -> usize {
    1 + (columns * size_of::<T>()).div_ceil(WORD)
}

/// What both graphs are made from.
struct Parts<T> {
    observations: Observations<T>,
    trials: usize,
    closest: Vec<Arc<BlockCell>>,
    parameters: Arc<Mutex<Parameters<T>>>,
    scratches: Scratches<T>,
}

impl<T: Real + Element + Default> Parts<T> {
    /// Potentials of the candidates: words of each rank, one rank after another, and of each tile of this rank.
    fn measure_graph(&self, world: &World, plan: Fingerprint) -> Result<(Arc<Graph>, BlockId, Vec<BlockId>)> {
        let mut graph = world.graph("kmeans++");
        graph.describe("potentials of candidates", plan);
        let rank = graph.rank();
        let words = 2 * self.trials;
        let blocks = self.bind(&mut graph);
        let mut of_tiles = Vec::new();
        for (index, &(rows, closest, weights)) in blocks.iter().enumerate() {
            let out = graph.block(rank, words * WORD)?;
            let domain = world.domain_of_tile(index, blocks.len());
            let mut accesses = vec![Read(rows), Read(closest), Write(out)];
            accesses.extend(weights.map(Read));
            graph.task("measure", rank, domain, &accesses, || self.measure_tile(&self.observations.tiles()[index]))?;
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
                for tile in 1..=tiles {
                    for (sum, word) in all[slot..slot + words].iter_mut().zip(context.read(tile).of::<i64>()) {
                        *sum = sum.wrapping_add(*word);
                    }
                }
                Ok(())
            })
        })?;
        graph.all_reduce_and_agree(&slots);
        Ok((Arc::new(graph.finish()?), mine, of_tiles))
    }

    fn measure_tile(&self, tile: &Tile) -> Body {
        let (parameters, scratches) = (Arc::clone(&self.parameters), self.scratches.clone());
        let (tile, columns) = (tile.clone(), self.observations.columns());
        Box::new(move |context| {
            let (rows, closest, mut out) = (context.read(0), context.read(1), context.write(2));
            let (candidates, scale) = {
                let parameters = parameters.lock().unwrap_or_else(PoisonError::into_inner);
                (parameters.candidates.clone(), parameters.scale)
            };
            let out = out.of_mut::<i64>();
            out.fill(0);
            let out = &mut out[..candidates.len() / columns * 2];
            let weights = tile.weights.is_some().then(|| context.read(3));
            let weights = weights.as_ref().map(|all| tile.weights_of(all.of::<T>()));
            let closest = (closest.of(), weights);
            tile.with_rows(rows.of::<T>(), |rows| match rows {
                Rows::Dense(rows) => scratches.lend(|scratch| {
                    candidate_potentials((rows, columns), &candidates, closest, &scale, None, out, scratch);
                }),
                Rows::Sparse(rows) => sparse_potentials((&rows, columns), &candidates, closest, &scale, out),
            });
            Ok(())
        })
    }

    /// The rows that draws hit, then each rank's largest closest distance.
    fn lower_graph(&self, world: &World, plan: Fingerprint) -> Result<(Arc<Graph>, BlockId)> {
        let mut graph = world.graph("kmeans++");
        graph.describe("closest distances", plan);
        let rank = graph.rank();
        let blocks = self.bind(&mut graph);
        let mut largest = Vec::new();
        for (index, &(rows, closest, _)) in blocks.iter().enumerate() {
            let out = graph.block(rank, WORD)?;
            let domain = world.domain_of_tile(index, blocks.len());
            let accesses = [Read(rows), Write(closest), Write(out)];
            graph.task("lower", rank, domain, &accesses, || self.lower_tile(&self.observations.tiles()[index]))?;
            largest.push(out);
        }
        let rows_words = self.trials * row_words::<T>(self.observations.columns());
        let (slots, mine) = slots(&mut graph, rows_words + world.size() + 1)?;
        let mut accesses = vec![Write(mine)];
        accesses.extend(largest.iter().map(|&block| Read(block)));
        accesses.extend(blocks.iter().map(|&(_, closest, _)| Read(closest)));
        // A replicated array is one block for all tiles; else each tile has its own.
        let mut places = Places::default();
        for &(rows, _, weights) in &blocks {
            places.rows.push(place(&mut accesses, rows));
            places.weights.extend(weights.map(|weights| place(&mut accesses, weights)));
        }
        graph.task("find", rank, 0, &accesses, || self.find_rows(rows_words + rank.index(), places))?;
        graph.all_reduce_and_agree(&slots);
        Ok((Arc::new(graph.finish()?), mine))
    }

    fn lower_tile(&self, tile: &Tile) -> Body {
        let (parameters, scratches) = (Arc::clone(&self.parameters), self.scratches.clone());
        let tile = tile.clone();
        Box::new(move |context| {
            let (rows, mut closest, mut out) = (context.read(0), context.write(1), context.write(2));
            let centre = parameters.lock().unwrap_or_else(PoisonError::into_inner).candidates.clone();
            let largest = tile.with_rows(rows.of::<T>(), |rows| match rows {
                Rows::Dense(rows) => scratches.lend(|scratch| lower_closest(rows, &centre, closest.of_mut(), scratch)),
                Rows::Sparse(rows) => sparse_lower_closest(&rows, &centre, closest.of_mut()),
            });
            out.of_mut::<f64>()[0] = largest;
            Ok(())
        })
    }

    /// Reads, behind the block it writes: every tile's largest distance, every tile's closest distances, and the rows
    /// and weights where `places` says.
    fn find_rows(&self, slot: usize, places: Places) -> Body {
        let parameters = Arc::clone(&self.parameters);
        let tiles = self.observations.tiles().to_vec();
        let columns = self.observations.columns();
        Box::new(move |context| {
            let mut out = context.write(0);
            let out = out.of_mut::<i64>();
            out.fill(0);
            let largest = (1..=tiles.len()).map(|tile| context.read(tile).of::<f64>()[0]).fold(0.0, f64::max);
            out[slot] = largest.to_bits() as i64;
            let parameters = parameters.lock().unwrap_or_else(PoisonError::into_inner);
            for target in &parameters.targets {
                let closest = context.read(1 + tiles.len() + target.tile);
                let tile = &tiles[target.tile];
                let weights = places.weights.get(target.tile).map(|&place| context.read(place));
                let weights = weights.as_ref().map(|all| tile.weights_of(all.of::<T>()));
                let found = find((closest.of(), weights), &parameters.scale, target.potential);
                let row = found.ok_or("the potentials of a tile changed between two passes")?;
                let rows = context.read(places.rows[target.tile]);
                let row = tile.rows.start + row;
                let words = row_words::<T>(columns);
                let (index, values) = out[target.draw * words..][..words].split_at_mut(1);
                index[0] = row as i64;
                let found = tile.row(rows.of::<T>(), row, columns);
                bytemuck::cast_slice_mut(values)[..columns].copy_from_slice(&found);
            }
            Ok(())
        })
    }

    /// Blocks of this rank's tiles: rows, closest distances and weights.
    fn bind(&self, graph: &mut GraphBuilder) -> Vec<(BlockId, BlockId, Option<BlockId>)> {
        let rank = graph.rank();
        let mut bound = HashMap::new();
        let tiles = self.observations.tiles().iter().zip(&self.closest);
        let blocks = tiles.map(|(tile, closest)| {
            let mut bind = |cell: &Arc<BlockCell>| {
                let bind = || graph.bind(rank, cell.bytes(), Some(Arc::clone(cell)));
                *bound.entry(Arc::as_ptr(cell)).or_insert_with(bind)
            };
            (bind(&tile.cell), bind(closest), tile.weights.as_ref().map(|weights| bind(&weights.cell)))
        });
        blocks.collect()
    }
}

/// Where the task that finds rows reads those of each tile, and their weights if they have some.
#[derive(Default)]
struct Places {
    rows: Vec<usize>,
    weights: Vec<usize>,
}

/// The place of a block among accesses; adds it if it is not among them.
fn place(accesses: &mut Vec<Access>, block: BlockId) -> usize {
    let known = accesses.iter().position(|access| matches!(access, Read(own) if *own == block));
    known.unwrap_or_else(|| {
        accesses.push(Read(block));
        accesses.len() - 1
    })
}

/// A block of `words` on every rank, and this rank's.
fn slots(graph: &mut GraphBuilder, words: usize) -> Result<(Vec<BlockId>, BlockId)> {
    let blocks = (0..graph.size()).map(|rank| graph.block(Rank::from(rank), words * WORD));
    let blocks: Vec<BlockId> = blocks.collect::<Result<_, _>>()?;
    let mine = blocks[graph.rank().index()];
    Ok((blocks, mine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_is_the_one_whose_share_holds_the_draw() {
        assert_eq!(draw_first(4, 0.25, 0.0), 0);
        assert_eq!(draw_first(4, 0.25, 0.25), 1);
        assert_eq!(draw_first(4, 0.25, 0.999), 3);
        assert_eq!(draw_first(1, 1.0, 0.5), 0);
    }

    #[test]
    fn parts_without_rows_are_never_reached() {
        assert_eq!(reach(&[0, 5, 0, 7], &[false, true, false, true], 0), (1, 0));
        assert_eq!(reach(&[0, 5, 0, 7], &[false, true, false, true], 5), (1, 5));
        assert_eq!(reach(&[0, 5, 0, 7], &[false, true, false, true], 6), (3, 1));
    }
}

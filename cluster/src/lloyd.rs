//! Lloyd's iterations as one graph that is run again and again.
//!
//! An iteration: the centres are packed; each tile of rows is assigned and added to a partial result while it is in
//! cache; partial results are merged on each rank; one all-reduce of integers ends the graph, and carries its status.
//! Invariant: after it, all ranks hold the same words and take the same decisions from them.
//! Traffic: one all-reduce of limbs·k·d + k + 4 words in each iteration, with weights 2·k·d + 3·k + 4; before the
//! first, an agreement.

use crate::centroids::{means, shift};
use crate::error::{Error, Result};
use crate::model::{Iteration, Labels, Model, Options};
use crate::observations::Observations;
use crate::relocate::relocate;
use crate::scratch::Scratches;
use crate::tile::{Rows, Tile, Weights};
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{Centres, Layout, Pass, Real, SparseCentres, SparsePass};
use girih_runtime::fingerprint::Fingerprint;
use girih_runtime::graph::Access::{Read, Write};
use girih_runtime::graph::{Body, Graph, GraphBuilder};
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::memory::BlockCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Partial results for each worker: enough that the last tiles spread, few enough that merging is cheap.
const PARTIALS_PER_WORKER: usize = 4;

/// Told of each iteration; true ends the fit, an error ends it on all ranks.
pub type Observer<'a> = dyn FnMut(&Iteration) -> Result<bool, String> + 'a;

impl<T: Real + Element + Default> Observations<T> {
    /// Fits centres from these starting ones, k×d in C order and equal on all ranks.
    ///
    /// `observer`, given on all ranks or none, is called after each iteration; if it answers true or fails on one
    /// rank, all stop.
    /// Cost per iteration: 2·n·k·d flops over all ranks and one read of the data; one all-reduce, and with an
    /// observer a word for its answer.
    ///
    /// # Errors
    /// Replicated: `Error::Value` if the centres do not fit the rows. As the runtime's otherwise.
    pub fn lloyd(&self, start: &[T], options: &Options, mut observer: Option<&mut Observer<'_>>) -> Result<Model<T>> {
        let (clusters, rows) = (self.clusters_of(start)?, self.rows());
        if clusters > rows {
            return Err(Error::Value(format!("n_samples={rows} should be >= n_clusters={clusters}.")));
        }
        let relative = if options.tolerance == 0.0 { 0.0 } else { options.tolerance * self.mean_variance()? };
        let tolerance = relative.max(options.shift);
        let mut centres = self.centred(start);
        let limits = [
            options.iterations_max as u64,
            options.tolerance.to_bits(),
            options.shift.to_bits(),
            u64::from(observer.is_some()),
        ];
        let epoch = self.agreed(Epoch::new(self, clusters, plan(start, &limits)), |epoch| vec![&*epoch.graph])?;
        let mut inertia = None;
        let mut iterations = 0;
        while iterations < options.iterations_max {
            iterations += 1;
            let mut sums = epoch.run(self, &centres)?;
            relocate(self, &epoch.labels, &centres, &mut sums.words)?;
            let next = means(clusters, self.columns(), self.fixed(), &sums.words);
            let moved = shift(&centres, &next);
            // Equal labels give equal sums; unless a cluster was relocated, the inertia is the final one already.
            inertia = (next == centres).then_some(sums.inertia);
            centres = next;
            let iteration =
                Iteration { number: iterations, inertia: sums.inertia, shift: moved, changed: sums.changed };
            let stop = match &mut observer {
                Some(observer) => self.tell(&mut **observer, &iteration)?,
                None => false,
            };
            if sums.changed == 0 || moved <= tolerance || stop {
                break;
            }
        }
        let mut counts = epoch.counts();
        if inertia.is_none() {
            // Once more, so that labels and inertia belong to the final centres.
            let sums = epoch.run(self, &centres)?;
            inertia = Some(sums.inertia);
            counts = epoch.counts();
        }
        let model = self.model(epoch, &centres, inertia.expect("set above"), iterations, &counts);
        Ok(Model { tolerance, ..model })
    }

    /// The nearest of these centres, k×d in C order, for each row: a model without iterations.
    ///
    /// Cost: 2·n·k·d flops over all ranks, one read of the data, one all-reduce.
    ///
    /// # Errors
    /// Replicated: `Error::Value` if the centres do not fit the columns. As the runtime's otherwise.
    pub fn assign(&self, centres: &[T]) -> Result<Model<T>> {
        let clusters = self.clusters_of(centres)?;
        let centred = self.centred(centres);
        let epoch = self.agreed(Epoch::new(self, clusters, plan(centres, &[])), |epoch| vec![&*epoch.graph])?;
        let sums = epoch.run(self, &centred)?;
        let counts = epoch.counts();
        Ok(self.model(epoch, &centred, sums.inertia, 0, &counts))
    }

    pub(crate) fn clusters_of(&self, centres: &[T]) -> Result<usize> {
        let clusters = centres.len() / self.columns();
        if clusters == 0 || clusters * self.columns() != centres.len() {
            let columns = self.columns();
            return Err(Error::Value(format!("{} values are no centres of {columns} features", centres.len())));
        }
        Ok(clusters)
    }

    pub(crate) fn centred(&self, centres: &[T]) -> Vec<T> {
        let rows = centres.chunks_exact(self.columns());
        let centred = |(value, mean): (&T, &T)| T::narrow(value.widen() - mean.widen());
        rows.flat_map(|row| row.iter().zip(self.origin().iter()).map(centred)).collect()
    }

    /// Centres as they were before `centred`.
    pub(crate) fn shifted(&self, centred: &[T]) -> Vec<T> {
        let rows = centred.chunks_exact(self.columns());
        let shifted = |(value, mean): (&T, &T)| T::narrow(value.widen() + mean.widen());
        rows.flat_map(|row| row.iter().zip(self.origin().iter()).map(shifted)).collect()
    }

    pub(crate) fn model(
        &self,
        epoch: Epoch<T>,
        centred: &[T],
        inertia: f64,
        iterations: usize,
        counts: &[i64],
    ) -> Model<T> {
        let centres = self.shifted(centred);
        let clusters = counts.iter().filter(|&&count| count > 0).count();
        Model { centres, inertia, tolerance: 0.0, iterations, clusters, labels: epoch.labels }
    }

    /// The observers' common answer.
    fn tell(&self, observer: &mut Observer<'_>, iteration: &Iteration) -> Result<bool> {
        const FAILED: i64 = 2;
        let answer = observer(iteration);
        let word = answer.as_ref().map_or(FAILED, |&stop| i64::from(stop));
        let most = self.world().max(word)?;
        if most < FAILED {
            return Ok(most > 0);
        }
        let agreed = self.world().agree(answer.clone());
        // This rank's own failure comes back as it was.
        answer.map_err(Error::Observer)?;
        Ok(agreed?)
    }
}

/// The graph of an iteration, with this rank's blocks.
pub(crate) struct Epoch<T> {
    graph: Arc<Graph>,
    layout: Layout,
    centres: Arc<BlockCell>,
    total: BlockId,
    pub(crate) labels: Vec<Labels>,
    rows: std::marker::PhantomData<T>,
}

/// What an iteration found, on all ranks.
pub(crate) struct Sums {
    pub(crate) words: Vec<i64>,
    pub(crate) inertia: f64,
    pub(crate) changed: u64,
}

/// Numbers that all tile tasks share.
#[derive(Clone)]
struct Shared<T> {
    clusters: usize,
    observations: Observations<T>,
    scratches: Scratches<T>,
}

impl<T: Real + Element + Default> Epoch<T> {
    pub(crate) fn new(observations: &Observations<T>, clusters: usize, plan: Fingerprint) -> Result<Epoch<T>> {
        let world = observations.world();
        let (rank, columns) = (world.rank(), observations.columns());
        let layout = Layout::new(clusters, observations.fixed());
        let centres = world.memory().block(clusters * columns * size_of::<T>())?;
        let mut graph = world.graph("kmeans");
        let what = format!("{clusters} clusters of {} {:?}", T::DTYPE, [observations.rows(), columns]);
        graph.describe(&what, plan);
        let given = graph.bind(rank, centres.bytes(), Some(Arc::clone(&centres)));
        let sparse = observations.is_sparse();
        let length = if sparse { SparseCentres::<T>::memory_len } else { Centres::<T>::memory_len };
        let packed = graph.block(rank, length(clusters, columns) * size_of::<T>())?;
        graph.task("pack", rank, 0, &[Read(given), Write(packed)], || {
            Box::new(move |context| {
                let (centres, mut packed) = (context.read(0), context.write(1));
                if sparse {
                    SparseCentres::pack(centres.of::<T>(), columns, packed.of_mut::<T>());
                } else {
                    Centres::pack(centres.of::<T>(), columns, packed.of_mut::<T>());
                }
                Ok(())
            })
        })?;
        let shared = Shared { clusters, observations: observations.clone(), scratches: Scratches::new() };
        let (labels, partials) = shared.assign_tiles(&mut graph, packed, &layout)?;
        let bytes = layout.words() * size_of::<i64>();
        let totals: Vec<BlockId> =
            (0..world.size()).map(|of| graph.block(Rank::from(of), bytes)).collect::<Result<_, _>>()?;
        let total = totals[rank.index()];
        let mut accesses = vec![Write(total)];
        accesses.extend(partials.iter().map(|&partial| Read(partial)));
        let partials = partials.len();
        graph.task("merge", rank, 0, &accesses, || {
            Box::new(move |context| {
                let mut total = context.write(0);
                total.fill(0);
                (1..=partials).for_each(|partial| layout.merge(total.of_mut(), context.read(partial).of()));
                Ok(())
            })
        })?;
        graph.all_reduce_and_agree(&totals);
        let graph = Arc::new(graph.finish()?);
        Ok(Epoch { graph, layout, centres, total, labels, rows: std::marker::PhantomData })
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(crate) fn run(&self, observations: &Observations<T>, centres: &[T]) -> Result<Sums> {
        self.centres.write().of_mut::<T>().copy_from_slice(centres);
        // The course of the iterations follows from `plan` and from sums that all ranks hold.
        observations.world().run_again(&self.graph)?;
        let words = self.graph.cell(self.total).read().of::<i64>().to_vec();
        let scale = observations.fixed().inertia(&reach(centres, observations.columns()));
        let inertia = self.layout.inertia_value(&scale, &words);
        let changed = words[self.layout.changed()] as u64;
        Ok(Sums { words, inertia, changed })
    }

    /// Rows of each cluster in the last run.
    pub(crate) fn counts(&self) -> Vec<i64> {
        self.graph.cell(self.total).read().of::<i64>()[self.layout.counts()].to_vec()
    }
}

impl<T: Real + Element + Default> Shared<T> {
    /// One task for each tile; tiles that share a partial result follow one another.
    fn assign_tiles(
        &self,
        graph: &mut GraphBuilder,
        packed: BlockId,
        layout: &Layout,
    ) -> Result<(Vec<Labels>, Vec<BlockId>)> {
        let world = self.observations.world();
        let tiles = self.observations.tiles();
        let count = tiles.len().min(PARTIALS_PER_WORKER * world.workers());
        let partials = (0..count).map(|_| graph.block(graph.rank(), layout.words() * size_of::<i64>()));
        let partials: Vec<BlockId> = partials.collect::<Result<_, _>>()?;
        let mut blocks = HashMap::new();
        let mut labels = Vec::with_capacity(tiles.len());
        for (index, tile) in tiles.iter().enumerate() {
            let rank = graph.rank();
            let rows = *blocks
                .entry(Arc::as_ptr(&tile.cell))
                .or_insert_with(|| graph.bind(rank, tile.cell.bytes(), Some(Arc::clone(&tile.cell))));
            let cell = world.memory().block(tile.rows.len() * size_of::<i32>())?;
            cell.write().of_mut::<i32>().fill(-1);
            let label = graph.bind(rank, cell.bytes(), Some(Arc::clone(&cell)));
            labels.push(Labels { rows: tile.rows.clone(), cell });
            // Consecutive tiles share a partial result, so that it stays with the domain that holds them.
            let partial = index * count / tiles.len();
            let first = index == 0 || (index - 1) * count / tiles.len() != partial;
            let mut accesses = vec![Read(rows), Read(packed), Write(label), Write(partials[partial])];
            if let Some(Weights { cell, .. }) = &tile.weights {
                let bound = || graph.bind(rank, cell.bytes(), Some(Arc::clone(cell)));
                accesses.push(Read(*blocks.entry(Arc::as_ptr(cell)).or_insert_with(bound)));
            }
            let domain = world.domain_of_tile(index, tiles.len());
            graph.task("assign", rank, domain, &accesses, || self.assign_tile(tile, first))?;
        }
        Ok((labels, partials))
    }

    fn assign_tile(&self, tile: &Tile, first: bool) -> Body {
        let shared = self.clone();
        let tile = tile.clone();
        Box::new(move |context| {
            let (rows, packed) = (context.read(0), context.read(1));
            let weights = tile.weights.is_some().then(|| context.read(4));
            let weights = weights.as_ref().map(|all| tile.weights_of(all.of::<T>()));
            let (mut labels, mut words) = (context.write(2), context.write(3));
            if first {
                words.fill(0);
            }
            shared.scratches.lend(|scratch| {
                let labels = labels.of_mut();
                tile.with_rows(rows.of::<T>(), |rows| match rows {
                    Rows::Dense(rows) => {
                        shared.pass(packed.of()).assign_and_add(rows, weights, labels, words.of_mut(), scratch);
                    }
                    Rows::Sparse(rows) => {
                        shared.sparse_pass(packed.of()).assign_and_add(&rows, weights, labels, words.of_mut(), scratch);
                    }
                });
            });
            Ok(())
        })
    }

    fn pass<'a>(&'a self, packed: &'a [T]) -> Pass<'a, T> {
        let (fixed, columns) = (self.observations.fixed(), self.observations.columns());
        let centres = Centres::packed(self.clusters, columns, packed);
        Pass { origin: self.observations.origin(), centres, fixed, inertia: Some(fixed.inertia(centres.reach())) }
    }

    fn sparse_pass<'a>(&'a self, packed: &'a [T]) -> SparsePass<'a, T> {
        let (fixed, columns) = (self.observations.fixed(), self.observations.columns());
        let centres = SparseCentres::packed(self.clusters, columns, packed);
        SparsePass { centres, fixed, inertia: fixed.inertia(centres.reach()) }
    }
}

/// All that decides the course of a fit, the data aside.
fn plan<T: Element>(start: &[T], limits: &[u64]) -> Fingerprint {
    limits.iter().fold(Fingerprint::default().bytes(bytemuck::cast_slice(start)), |print, &limit| print.word(limit))
}

/// The largest absolute value of each column.
fn reach<T: Real>(centres: &[T], columns: usize) -> Vec<T> {
    let mut reach = vec![T::ZERO; columns];
    for centre in centres.chunks_exact(columns) {
        for (reach, value) in reach.iter_mut().zip(centre) {
            let size = T::narrow(value.widen().abs());
            *reach = if size > *reach { size } else { *reach };
        }
    }
    reach
}

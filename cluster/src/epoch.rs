//! The graph of an iteration, which is run again and again.
//!
//! The centres are packed; each tile of rows is assigned and added to a partial result while it is in cache; partial
//! results are merged on each rank; one all-reduce of integers ends the graph, and carries its status. Where few labels
//! change, partial results hold what the sums change by, and each rank adds it to the sums that it kept.
//! Invariant: after a run all ranks hold the same words, whatever its mode.
//! Never here: what to do with them.

use crate::error::Result;
use crate::model::Labels;
use crate::observations::Observations;
use crate::scratch::Scratches;
use crate::tile::{Rows, Tile, Weights};
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{Centres, Layout, Moves, Pass, Real, SparseCentres, SparsePass, UNKNOWN};
use girih_runtime::fingerprint::Fingerprint;
use girih_runtime::graph::Access::{Read, Write};
use girih_runtime::graph::{Body, Graph, GraphBuilder};
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::memory::BlockCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Partial results for each worker: enough that the last tiles spread, few enough that merging is cheap.
const PARTIALS_PER_WORKER: usize = 4;
const BOUNDS_BYTES: usize = size_of::<[f32; 2]>();

/// What a run does; all but the first run, and all of sparse rows, may add changes only.
#[derive(Clone, Debug)]
pub(crate) struct Mode {
    pub(crate) look: Look,
    /// Partial results hold what the sums change by.
    pub(crate) changes: bool,
    /// Whether the inertia is wanted.
    pub(crate) inertia: bool,
    /// Whether this rank wishes to stop, which all will know; the rest is the same on all ranks.
    pub(crate) stop: bool,
}

impl Mode {
    /// All rows, all sums, the inertia.
    pub(crate) const WHOLE: Mode = Mode { look: Look::All, changes: false, inertia: true, stop: false };
    /// The inertia of the labels that the last run gave, by the centres of this one.
    pub(crate) const INERTIA: Mode = Mode { look: Look::None, changes: true, inertia: true, stop: false };
}

/// The rows that a run looks at.
#[derive(Clone, Debug)]
pub(crate) enum Look {
    /// All.
    All,
    /// Those whose bounds meet after these moves; `fresh` forgets all bounds. Needs `changes`.
    Bounded { moves: Arc<Moves>, fresh: bool },
    /// None: labels stay. Needs `changes`.
    None,
}

/// The graph, with this rank's blocks.
pub(crate) struct Epoch<T> {
    graph: Arc<Graph>,
    layout: Layout,
    centres: Arc<BlockCell>,
    total: BlockId,
    mode: Arc<Mutex<Mode>>,
    pub(crate) labels: Vec<Labels>,
    rows: std::marker::PhantomData<T>,
}

/// What the runs of an epoch keep for one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeps {
    /// The sums of each rank, for `changes`.
    pub(crate) sums: bool,
    /// Two bounds for each row, for `Look::Bounded`.
    pub(crate) bounds: bool,
}

impl Keeps {
    /// For a single run.
    pub(crate) const NOTHING: Keeps = Keeps { sums: false, bounds: false };
}

/// What an iteration found, on all ranks.
pub(crate) struct Sums {
    pub(crate) words: Vec<i64>,
    /// If it was wanted.
    pub(crate) inertia: Option<f64>,
    pub(crate) changed: u64,
    /// Rows that were compared with all centres.
    pub(crate) looked_at: u64,
    /// Some rank wishes to stop.
    pub(crate) stop: bool,
}

impl Sums {
    /// The inertia of a run that was asked for it.
    pub(crate) fn known_inertia(&self) -> f64 {
        self.inertia.expect("the mode asked for the inertia")
    }
}

/// What all tile tasks share.
#[derive(Clone)]
struct Shared<T> {
    clusters: usize,
    observations: Observations<T>,
    scratches: Scratches<T>,
    mode: Arc<Mutex<Mode>>,
    keeps: Keeps,
}

impl<T: Real + Element + Default> Epoch<T> {
    /// Cost: labels of four bytes for each row, bounds of eight if they are kept.
    pub(crate) fn new(
        observations: &Observations<T>,
        clusters: usize,
        plan: Fingerprint,
        keeps: Keeps,
    ) -> Result<Epoch<T>> {
        let world = observations.world();
        let (rank, columns) = (world.rank(), observations.columns());
        let layout = Layout::new(clusters, observations.fixed());
        let centres = world.memory().block(clusters * columns * size_of::<T>())?;
        let mut graph = world.graph("kmeans");
        let what = format!("{clusters} clusters of {} {:?}", T::DTYPE, [observations.rows(), columns]);
        graph.describe(&what, plan);
        let given = graph.bind(rank, centres.bytes(), Some(Arc::clone(&centres)));
        let packed = pack_task::<T>(&mut graph, given, (clusters, columns), observations.is_sparse())?;
        let mode = Arc::new(Mutex::new(Mode::WHOLE));
        let (own, scratches) = (observations.clone(), Scratches::new());
        let shared = Shared { clusters, observations: own, scratches, mode: Arc::clone(&mode), keeps };
        let (labels, partials) = shared.assign_tiles(&mut graph, packed, &layout)?;
        let bytes = layout.words() * size_of::<i64>();
        let totals: Vec<BlockId> =
            (0..world.size()).map(|of| graph.block(Rank::from(of), bytes)).collect::<Result<_, _>>()?;
        let total = totals[rank.index()];
        let kept = world.memory().block(if keeps.sums { bytes } else { 0 })?;
        let kept = graph.bind(rank, kept.bytes(), Some(Arc::clone(&kept)));
        let mut accesses = vec![Write(total), Write(kept)];
        accesses.extend(partials.iter().map(|&partial| Read(partial)));
        graph.task("merge", rank, 0, &accesses, || shared.merge(layout, partials.len()))?;
        graph.all_reduce_and_agree(&totals);
        let graph = Arc::new(graph.finish()?);
        Ok(Epoch { graph, layout, centres, total, mode, labels, rows: std::marker::PhantomData })
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(crate) fn run(&self, observations: &Observations<T>, centres: &[T], mode: Mode) -> Result<Sums> {
        let (wanted, bounded) = (mode.inertia, matches!(mode.look, Look::Bounded { .. }));
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
        self.centres.write().of_mut::<T>().copy_from_slice(centres);
        // The course of the iterations follows from `plan` and from sums that all ranks hold.
        observations.world().run_again(&self.graph)?;
        let words = self.graph.cell(self.total).read().of::<i64>().to_vec();
        let scale = observations.fixed().inertia(&reach(centres, observations.columns()));
        let inertia = wanted.then(|| self.layout.inertia_value(&scale, &words));
        let changed = words[self.layout.changed()] as u64;
        let all = observations.rows() as u64;
        let looked_at = if bounded { words[self.layout.looked_at()] as u64 } else { all };
        let stop = words[self.layout.stop()] != 0;
        Ok(Sums { words, inertia, changed, looked_at, stop })
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
            let bounds = world.memory().block(if self.keeps.bounds { tile.rows.len() * BOUNDS_BYTES } else { 0 })?;
            let domain = world.domain_of_tile(index, tiles.len());
            graph.task("assign", rank, domain, &accesses, || self.assign_tile(tile, first, bounds))?;
        }
        Ok((labels, partials))
    }

    fn assign_tile(&self, tile: &Tile, first: bool, bounds: Arc<BlockCell>) -> Body {
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
            let mode = shared.mode.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (labels, words) = (labels.of_mut(), words.of_mut());
            shared.scratches.lend(|scratch| {
                tile.with_rows(rows.of::<T>(), |rows| match (rows, &mode.look) {
                    (Rows::Sparse(rows), _) => {
                        shared.sparse_pass(packed.of()).assign_and_add(&rows, weights, labels, words, scratch);
                    }
                    (Rows::Dense(rows), Look::All) => {
                        shared.pass(packed.of(), &mode).assign_and_add(rows, weights, labels, words, scratch);
                    }
                    (Rows::Dense(rows), Look::Bounded { moves, fresh }) => {
                        // Only this task looks at these bounds.
                        let mut bounds = bounds.write();
                        let bounds = bounds.of_mut::<[f32; 2]>();
                        if *fresh {
                            bounds.fill(UNKNOWN);
                        }
                        let pass = shared.pass(packed.of(), &mode);
                        pass.follow(moves, (rows, weights), labels, bounds, words, scratch);
                    }
                    (Rows::Dense(rows), Look::None) => {
                        shared.pass(packed.of(), &mode).add_inertia((rows, weights), labels, words, scratch);
                    }
                });
            });
            Ok(())
        })
    }

    /// Writes the sums, keeps those of this rank if they will be needed, and then reads `partials` blocks.
    fn merge(&self, layout: Layout, partials: usize) -> Body {
        let (mode, keeps) = (Arc::clone(&self.mode), self.keeps.sums);
        Box::new(move |context| {
            let (mut total, mut kept) = (context.write(0), context.write(1));
            let total = total.of_mut::<i64>();
            total.fill(0);
            (2..2 + partials).for_each(|partial| layout.merge(total, context.read(partial).of()));
            let (changes, stop) = {
                let mode = mode.lock().unwrap_or_else(PoisonError::into_inner);
                (mode.changes, mode.stop)
            };
            total[layout.stop()] = i64::from(stop);
            if keeps {
                let sums = layout.inertia().start;
                let (total, kept) = (&mut total[..sums], &mut kept.of_mut::<i64>()[..sums]);
                if changes {
                    total.iter_mut().zip(&*kept).for_each(|(word, kept)| *word = word.wrapping_add(*kept));
                }
                kept.copy_from_slice(total);
            }
            Ok(())
        })
    }

    fn pass<'a>(&'a self, packed: &'a [T], mode: &Mode) -> Pass<'a, T> {
        let (fixed, columns) = (self.observations.fixed(), self.observations.columns());
        let centres = Centres::packed(self.clusters, columns, packed);
        let inertia = mode.inertia.then(|| fixed.inertia(centres.reach()));
        Pass { origin: self.observations.origin(), centres, fixed, inertia, changes: mode.changes }
    }

    fn sparse_pass<'a>(&'a self, packed: &'a [T]) -> SparsePass<'a, T> {
        let (fixed, columns) = (self.observations.fixed(), self.observations.columns());
        let centres = SparseCentres::packed(self.clusters, columns, packed);
        SparsePass { centres, fixed, inertia: fixed.inertia(centres.reach()) }
    }
}

/// The task that lays centres out as the kernel reads them; the block that it writes.
fn pack_task<T: Real + Element>(
    graph: &mut GraphBuilder,
    given: BlockId,
    (clusters, columns): (usize, usize),
    sparse: bool,
) -> Result<BlockId> {
    let rank = graph.rank();
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
    Ok(packed)
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

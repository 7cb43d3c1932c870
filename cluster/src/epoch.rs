//! The graph of an iteration, which is run again and again.
//!
//! The centres are packed; each tile of rows is assigned and added to a partial result while it is in cache; partial
//! results are merged on each rank; one all-reduce of integers ends the graph, and carries its status. Where few labels
//! change, partial results hold what the sums change by, and each rank adds it to the sums that it kept. The sums of
//! many long centres are divided over ranks instead (`shares.rs`).
//! Several fits share a graph: a tile is read once for all of them.
//! Invariant: after a run all ranks hold the same words, whatever its mode; those of a fit do not depend on the others.
//! Never here: what to do with them.

use crate::accumulators::Accumulators;
use crate::error::Result;
use crate::model::Labels;
use crate::observations::Observations;
use crate::scratch::Scratches;
use crate::shares::{Division, Share, Shares};
use crate::tile::{Rows, Tile};
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{Centres, Layout, Moves, Pass, Real, Scratch, SparseCentres, SparsePass, UNKNOWN};
use girih_runtime::comm::Reduction;
use girih_runtime::fingerprint::Fingerprint;
use girih_runtime::graph::Access::{Read, Write};
use girih_runtime::graph::{Body, Graph, GraphBuilder};
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::memory::BlockCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// One tile in so many is in the sample.
const SAMPLE: usize = 16;
/// Bytes of a row's bounds.
pub(crate) const BOUNDS_BYTES: usize = size_of::<[f32; 2]>();

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
    /// Those whose bounds meet after these moves; `fresh` forgets all bounds. With `sample` bounds are kept of one tile
    /// in so many, and all rows of the others are looked at. Needs `changes`.
    Bounded { moves: Arc<Moves>, fresh: bool, sample: bool },
    /// None: labels stay. Needs `changes`.
    None,
    /// None, and nothing else is done for this fit.
    Absent,
}

/// The graph, with this rank's blocks.
pub(crate) struct Epoch<T> {
    graph: Arc<Graph>,
    total: Total,
    members: Vec<Member>,
    accumulators: Accumulators,
    rows: std::marker::PhantomData<T>,
}

/// Where all ranks find the words of a run.
enum Total {
    Whole(BlockId),
    Divided(Box<Shares>),
}

/// A fit that takes part.
struct Member {
    layout: Layout,
    /// Its words among those of all.
    words: Range<usize>,
    centres: Arc<BlockCell>,
    mode: Arc<Mutex<Mode>>,
    labels: Vec<Labels>,
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
pub(crate) struct Sums<T> {
    /// Where means are known, those of the sums are zero until `Epoch::complete`.
    pub(crate) words: Vec<i64>,
    /// The new centres, if they were divided over ranks; those of clusters without weight have no meaning.
    pub(crate) means: Option<Vec<T>>,
    /// Rows of each cluster.
    pub(crate) counts: Vec<i64>,
    /// If it was wanted.
    pub(crate) inertia: Option<f64>,
    pub(crate) changed: u64,
    /// Rows that were compared with all centres, of those that have bounds if some have.
    pub(crate) looked_at: u64,
    /// Some rank wishes to stop.
    pub(crate) stop: bool,
}

impl<T> Sums<T> {
    /// The inertia of a run that was asked for it.
    pub(crate) fn known_inertia(&self) -> f64 {
        self.inertia.expect("the mode asked for the inertia")
    }
}

/// What all tile tasks share.
#[derive(Clone)]
struct Shared<T> {
    observations: Observations<T>,
    scratches: Scratches<T>,
    accumulators: Accumulators,
    members: Vec<SharedMember>,
}

#[derive(Clone)]
struct SharedMember {
    clusters: usize,
    words: Range<usize>,
    layout: Layout,
    mode: Arc<Mutex<Mode>>,
    keeps: Keeps,
}

impl SharedMember {
    fn mode(&self) -> Mode {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<T: Real + Element + Default> Epoch<T> {
    /// For one fit after another: how many clusters it has, and what it keeps.
    ///
    /// With `divides` the sums of a single fit are divided over ranks, if they are many.
    /// Cost: for each fit labels of four bytes for each row, bounds of eight if they are kept.
    pub(crate) fn new(
        observations: &Observations<T>,
        fits: &[(usize, Keeps)],
        plan: Fingerprint,
        divides: bool,
    ) -> Result<Epoch<T>> {
        let world = observations.world();
        let (rank, columns) = (world.rank(), observations.columns());
        let mut graph = world.graph("kmeans");
        let shown: Vec<String> = fits.iter().map(|(clusters, _)| clusters.to_string()).collect();
        let what = format!("{} clusters of {} {:?}", shown.join(", "), T::DTYPE, [observations.rows(), columns]);
        graph.describe(&what, plan);
        let (mut members, mut packed, mut end) = (Vec::new(), Vec::new(), 0);
        let mut centres = Vec::new();
        for &(clusters, keeps) in fits {
            let layout = Layout::new(clusters, observations.fixed());
            let words = end..end + layout.words();
            end = words.end;
            let cell = world.memory().block(clusters * columns * size_of::<T>())?;
            let given = graph.bind(rank, cell.bytes(), Some(Arc::clone(&cell)));
            packed.push(pack_task::<T>(&mut graph, given, (clusters, columns), observations.is_sparse())?);
            centres.push(cell);
            let mode = Arc::new(Mutex::new(Mode::WHOLE));
            members.push(SharedMember { clusters, words, layout, mode, keeps });
        }
        let accumulators = Accumulators::new(world, end, Reduction::SumI64)?;
        let (observations, scratches) = (observations.clone(), Scratches::new());
        let shared = Shared { observations, scratches, accumulators: accumulators.clone(), members };
        let (labels, written) = shared.assign_tiles(&mut graph, &packed)?;
        let division = match fits {
            [(clusters, _)] if divides => Division::of::<T>(*clusters, shared.observations.fixed(), world.size()),
            _ => None,
        };
        let total = match division {
            Some(division) => shared.divide(&mut graph, division, &written)?,
            None => shared.total(&mut graph, end, &written)?,
        };
        let own = shared.members.into_iter().zip(centres).zip(labels);
        let members = own.map(|((SharedMember { words, layout, mode, .. }, centres), labels)| Member {
            layout,
            words,
            centres,
            mode,
            labels,
        });
        let members = members.collect();
        let graph = Arc::new(graph.finish()?);
        Ok(Epoch { graph, total, members, accumulators, rows: std::marker::PhantomData })
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The labels that the last run gave for a fit.
    pub(crate) fn labels(&self, fit: usize) -> &[Labels] {
        &self.members[fit].labels
    }

    /// Runs the only fit.
    pub(crate) fn run(&self, observations: &Observations<T>, centres: &[T], mode: Mode) -> Result<Sums<T>> {
        let mut found = self.run_all(observations, vec![Some((centres, mode))])?;
        Ok(found.pop().flatten().expect("the fit took part"))
    }

    /// Runs the fits that have centres, with a mode for each; the others are left as they are.
    pub(crate) fn run_all(
        &self,
        observations: &Observations<T>,
        fits: Vec<Option<(&[T], Mode)>>,
    ) -> Result<Vec<Option<Sums<T>>>> {
        let absent = Mode { look: Look::Absent, changes: true, inertia: false, stop: false };
        let mut asked = Vec::with_capacity(fits.len());
        for (member, fit) in self.members.iter().zip(fits) {
            let (centres, mode) = fit.map_or((None, absent.clone()), |(centres, mode)| (Some(centres), mode));
            if let Some(centres) = centres {
                member.centres.write().of_mut::<T>().copy_from_slice(centres);
            }
            asked.push(centres.map(|centres| (centres, mode.inertia, matches!(mode.look, Look::Bounded { .. }))));
            *member.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
        }
        self.accumulators.forget();
        // The course of the iterations follows from `plan` and from sums that all ranks hold.
        observations.world().run_again(&self.graph)?;
        let (all, mut means) = match &self.total {
            Total::Whole(total) => (self.graph.cell(*total).read().of::<i64>().to_vec(), None),
            Total::Divided(shares) => {
                let (words, means) = shares.read(&self.graph);
                (words, Some(means))
            }
        };
        let found = self.members.iter().zip(asked).map(|(member, asked)| {
            let (centres, wanted, bounded) = asked?;
            let (layout, words) = (&member.layout, all[member.words.clone()].to_vec());
            let scale = || observations.fixed().inertia(&reach(centres, observations.columns()));
            Some(Sums {
                means: means.take(),
                counts: words[layout.counts()].to_vec(),
                inertia: wanted.then(|| layout.inertia_value(&scale(), &words)),
                changed: words[layout.changed()] as u64,
                looked_at: if bounded { words[layout.looked_at()] as u64 } else { observations.rows() as u64 },
                stop: words[layout.stop()] != 0,
                words,
            })
        });
        Ok(found.collect())
    }

    /// Puts the sums among the words of the only fit, if they are not there. All ranks call it, or none.
    pub(crate) fn complete(&self, observations: &Observations<T>, words: &mut [i64]) -> Result<()> {
        match &self.total {
            Total::Whole(_) => Ok(()),
            Total::Divided(shares) => shares.gather_sums(observations.world(), &self.graph, words),
        }
    }
}

impl<T: Real + Element + Default> Shared<T> {
    /// One task for each tile. Labels by fit, and a block that each task writes.
    fn assign_tiles(&self, graph: &mut GraphBuilder, packed: &[BlockId]) -> Result<(Vec<Vec<Labels>>, Vec<BlockId>)> {
        let world = self.observations.world();
        let tiles = self.observations.tiles();
        let mut written = Vec::with_capacity(tiles.len());
        let mut blocks = HashMap::new();
        let mut labels: Vec<Vec<Labels>> = self.members.iter().map(|_| Vec::with_capacity(tiles.len())).collect();
        for (index, tile) in tiles.iter().enumerate() {
            let rank = graph.rank();
            let mut accesses = Vec::new();
            let mut bounds = Vec::with_capacity(self.members.len());
            for ((member, &packed), labels) in self.members.iter().zip(packed).zip(&mut labels) {
                let cell = world.memory().block(tile.rows.len() * size_of::<i32>())?;
                cell.write().of_mut::<i32>().fill(-1);
                let block = graph.bind(rank, cell.bytes(), Some(Arc::clone(&cell)));
                accesses.extend([Read(packed), Write(block)]);
                labels.push(Labels { rows: tile.rows.clone(), cell });
                let bytes = if member.keeps.bounds { tile.rows.len() * BOUNDS_BYTES } else { 0 };
                bounds.push(world.memory().block(bytes)?);
                if written.len() == index {
                    written.push(block);
                }
            }
            for cell in tile.cells() {
                let bound = || graph.bind(rank, cell.bytes(), Some(Arc::clone(cell)));
                accesses.push(Read(*blocks.entry(Arc::as_ptr(cell)).or_insert_with(bound)));
            }
            let domain = world.domain_of_tile(index, tiles.len());
            let sampled = index.is_multiple_of(SAMPLE);
            graph.task("assign", rank, domain, &accesses, || self.assign_tile((tile, sampled), domain, bounds))?;
        }
        Ok((labels, written))
    }

    fn assign_tile(&self, (tile, sampled): (&Tile, bool), domain: usize, bounds: Vec<Arc<BlockCell>>) -> Body {
        let shared = self.clone();
        let tile = tile.clone();
        Box::new(move |context| {
            let modes: Vec<Mode> = shared.members.iter().map(SharedMember::mode).collect();
            if modes.iter().all(|mode| matches!(mode.look, Look::Absent)) {
                return Ok(());
            }
            let weights = tile.weights.as_ref().map(|weights| weights.cell.borrow());
            let weights = weights.as_ref().map(|all| tile.weights_of(all.of::<T>()));
            let work = |rows: Rows<T>, words: &mut [i64], scratch: &mut Scratch<T>| {
                for (at, (member, mode)) in shared.members.iter().zip(&modes).enumerate() {
                    let packed = context.read(2 * at);
                    let mut labels = context.write(2 * at + 1);
                    let place = (labels.of_mut(), &mut words[member.words.clone()], &bounds[at]);
                    shared.look((member, mode, sampled), packed.of(), (&rows, weights), place, scratch);
                }
            };
            tile.lend(|rows| {
                shared.accumulators.lend(domain, |words| shared.scratches.lend(|scratch| work(rows, words, scratch)))
            })?
        })
    }

    /// What a run does with a tile for one fit.
    fn look(
        &self,
        (member, mode, sampled): (&SharedMember, &Mode, bool),
        packed: &[T],
        (rows, weights): (&Rows<T>, Option<&[T]>),
        (labels, words, bounds): (&mut [i32], &mut [i64], &Arc<BlockCell>),
        scratch: &mut Scratch<T>,
    ) {
        match (rows, &mode.look) {
            (_, Look::Absent) => {}
            (Rows::Sparse(rows), _) => {
                self.sparse_pass(member, packed).assign_and_add(rows, weights, labels, words, scratch);
            }
            (Rows::Dense(rows), Look::Bounded { moves, fresh, sample }) if sampled || !sample => {
                // Only this task looks at these bounds.
                let mut bounds = bounds.write();
                let bounds = bounds.of_mut::<[f32; 2]>();
                if *fresh {
                    bounds.fill(UNKNOWN);
                }
                self.pass((member, mode), packed).follow(moves, (rows, weights), labels, bounds, words, scratch);
            }
            (Rows::Dense(rows), Look::All | Look::Bounded { .. }) => {
                self.pass((member, mode), packed).assign_and_add(rows, weights, labels, words, scratch);
            }
            (Rows::Dense(rows), Look::None) => {
                self.pass((member, mode), packed).add_inertia((rows, weights), labels, words, scratch);
            }
        }
    }

    /// Records the one all-reduce of so many words.
    fn total(&self, graph: &mut GraphBuilder, words: usize, written: &[BlockId]) -> Result<Total> {
        let world = self.observations.world();
        let (rank, bytes) = (world.rank(), words * size_of::<i64>());
        let totals: Vec<BlockId> =
            (0..world.size()).map(|of| graph.block(Rank::from(of), bytes)).collect::<Result<_, _>>()?;
        let total = totals[rank.index()];
        let keeps = self.members.iter().any(|member| member.keeps.sums);
        let kept = world.memory().block(if keeps { bytes } else { 0 })?;
        let kept = graph.bind(rank, kept.bytes(), Some(Arc::clone(&kept)));
        let mut accesses = vec![Write(total), Write(kept)];
        accesses.extend(written.iter().map(|&block| Read(block)));
        graph.task("merge", rank, 0, &accesses, || self.merge())?;
        graph.all_reduce_and_agree(&totals);
        Ok(Total::Whole(total))
    }

    /// Records what divides the sums of the only fit over ranks.
    fn divide(&self, graph: &mut GraphBuilder, division: Division, written: &[BlockId]) -> Result<Total> {
        let rank = graph.rank();
        let done = graph.block(rank, 0)?;
        let accesses: Vec<_> = [Write(done)].into_iter().chain(written.iter().map(|&block| Read(block))).collect();
        graph.task("assigned", rank, 0, &accesses, || Box::new(|_| Ok(())))?;
        let member = self.members[0].clone();
        let asked = move || {
            let Mode { changes, stop, .. } = member.mode();
            Share { changes, stop }
        };
        let shares = Shares::record::<T>(graph, division, &self.accumulators, done, asked)?;
        Ok(Total::Divided(Box::new(shares)))
    }

    /// Writes the sums, and keeps those of this rank if they will be needed.
    fn merge(&self) -> Body {
        let (members, accumulators) = (self.members.clone(), self.accumulators.clone());
        Box::new(move |context| {
            let (mut all, mut all_kept) = (context.write(0), context.write(1));
            let all_words = all.of_mut::<i64>();
            // Those of absent fits are zero.
            accumulators.combine(all_words);
            for SharedMember { words, layout, mode, keeps, .. } in &members {
                let (changes, stop, absent) = {
                    let mode = mode.lock().unwrap_or_else(PoisonError::into_inner);
                    (mode.changes, mode.stop, matches!(mode.look, Look::Absent))
                };
                if absent {
                    continue;
                }
                let total = &mut all_words[words.clone()];
                total[layout.stop()] = i64::from(stop);
                if keeps.sums {
                    let sums = layout.inertia().start;
                    let kept = &mut all_kept.of_mut::<i64>()[words.clone()][..sums];
                    let total = &mut total[..sums];
                    if changes {
                        total.iter_mut().zip(&*kept).for_each(|(word, kept)| *word = word.wrapping_add(*kept));
                    }
                    kept.copy_from_slice(total);
                }
            }
            Ok(())
        })
    }

    fn pass<'a>(&'a self, (member, mode): (&SharedMember, &Mode), packed: &'a [T]) -> Pass<'a, T> {
        let (fixed, columns) = (self.observations.fixed(), self.observations.columns());
        let centres = Centres::packed(member.clusters, columns, packed);
        let inertia = mode.inertia.then(|| fixed.inertia(centres.reach()));
        Pass { origin: self.observations.origin(), centres, fixed, inertia, changes: mode.changes }
    }

    fn sparse_pass<'a>(&'a self, member: &SharedMember, packed: &'a [T]) -> SparsePass<'a, T> {
        let (fixed, columns) = (self.observations.fixed(), self.observations.columns());
        let centres = SparseCentres::packed(member.clusters, columns, packed);
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

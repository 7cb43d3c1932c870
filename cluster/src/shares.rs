//! Centres divided over ranks: each adds up and divides the sums of its own, panel by panel.
//!
//! For many and long centres. They are cut into panels, and each panel into a share for each rank. What a rank has of
//! a panel goes to the owners in one exchange; each owner adds up what came, divides, and all gather the new centres.
//! Panels are independent: one is summed while another travels, and any worker takes any.
//! Invariant: cuts follow from shapes and the number of ranks alone; sums are integers, so they show in no bit.
//! Traffic of an iteration, r = limbs·d + 1 words for a cluster, with weights 2·d + 3: for each panel one all-to-all of
//! 8·r bytes for each cluster of other ranks, and one all-gather of the own clusters' centres, padded to eight bytes,
//! with 8 bytes for each of them, with weights 24; then one all-reduce of six words. An all-reduce of all words would
//! send the sums twice where here the centres go back, which are shorter.
//! Never here: what is done with the centres.

use crate::accumulators::Accumulators;
use crate::error::Result;
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{FixedPoint, Layout, Real};
use girih_runtime::graph::Access::{Read, Write};
use girih_runtime::graph::{Graph, GraphBuilder};
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::world::World;
use std::ops::Range;
use std::sync::Arc;

/// Words from which on it pays to divide them.
const WORDS_MIN: usize = 1 << 17;
/// Words of a panel, about; and panels at most.
const PANEL_WORDS: usize = 1 << 16;
const PANELS_MAX: usize = 16;
/// A share of less is not worth a message of its own.
const SHARE_WORDS_MIN: usize = 1 << 12;
const WORD: usize = size_of::<i64>();

/// How clusters are divided, alike on all ranks.
#[derive(Clone, Debug)]
pub(crate) struct Division {
    layout: Layout,
    fixed: Arc<FixedPoint>,
    clusters: usize,
    ranks: usize,
    panels: usize,
    value_bytes: usize,
}

/// The blocks of a graph that divides.
pub(crate) struct Shares {
    division: Division,
    /// By panel: the words of this rank's clusters; and what all gathered.
    own: Vec<BlockId>,
    gathered: Vec<BlockId>,
    tail: BlockId,
}

/// What a run makes of this rank's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// Added to what the run before had.
    pub(crate) changes: bool,
    pub(crate) stop: bool,
}

impl Division {
    /// None where one all-reduce is better.
    pub(crate) fn of<T>(clusters: usize, fixed: &Arc<FixedPoint>, ranks: usize) -> Option<Division> {
        let layout = Layout::new(clusters, fixed);
        let words = layout.sums().len();
        let panel_words = PANEL_WORDS.max(ranks * SHARE_WORDS_MIN);
        let panels = (words / panel_words).min(PANELS_MAX).min(clusters / ranks);
        let pays = ranks > 1 && words >= WORDS_MIN && panels > 0;
        let (fixed, value_bytes) = (Arc::clone(fixed), size_of::<T>());
        pays.then_some(Division { layout, fixed, clusters, ranks, panels, value_bytes })
    }

    /// The clusters of a rank's share of a panel.
    fn share(&self, panel: usize, rank: usize) -> Range<usize> {
        let cut = |part: usize| self.clusters * part / (self.panels * self.ranks);
        let part = panel * self.ranks + rank;
        cut(part)..cut(part + 1)
    }

    /// The clusters of a panel.
    fn panel(&self, panel: usize) -> Range<usize> {
        self.share(panel, 0).start..self.share(panel, self.ranks - 1).end
    }

    /// Words of a cluster's sums, and of its count and weight.
    fn widths(&self) -> (usize, usize) {
        (self.layout.sum(0).len(), 1 + self.layout.weights().len() / self.clusters)
    }

    fn record_bytes(&self) -> usize {
        let (sums, counts) = self.widths();
        WORD * (sums + counts)
    }

    /// Bytes that a rank gives to the gathering of a panel.
    fn part_bytes(&self, panel: usize, rank: usize) -> usize {
        let clusters = self.share(panel, rank).len();
        let centres = clusters * self.fixed.columns() * self.value_bytes;
        clusters * self.widths().1 * WORD + centres.next_multiple_of(WORD)
    }

    /// Where a cluster's count, and head and tail of its weight, stand among all words.
    fn counted(&self, cluster: usize) -> impl Iterator<Item = usize> + use<> {
        let (counts, weights) = (self.layout.counts().start, self.layout.weights());
        let (start, clusters) = (weights.start, self.clusters);
        let limbs = weights.len() / clusters;
        std::iter::once(counts + cluster).chain((0..limbs).map(move |limb| start + limb * clusters + cluster))
    }

    /// Puts the records of these clusters, the next of all, to their places among the words.
    fn put<'a>(&self, clusters: Range<usize>, words: &mut [i64], records: &mut impl Iterator<Item = &'a i64>) {
        for cluster in clusters {
            let places = self.layout.sum(cluster).chain(self.counted(cluster));
            places.zip(&mut *records).for_each(|(place, &word)| words[place] = word);
        }
    }
}

impl Shares {
    /// Records what follows the tiles, which have all run when `done` can be read; the last collective agrees.
    ///
    /// `asked` tells a run what it makes.
    pub(crate) fn record<T: Real + Element>(
        graph: &mut GraphBuilder,
        division: Division,
        accumulators: &Accumulators,
        done: BlockId,
        asked: impl Fn() -> Share + Send + Sync + Clone + 'static,
    ) -> Result<Shares> {
        let (here, ranks, record) = (graph.rank().index(), division.ranks, division.record_bytes());
        let share_bytes = |panel: usize, of: usize| record * division.share(panel, of).len();
        // All exchanges first: collectives are posted in the order of recording.
        let mut received = Vec::with_capacity(division.panels);
        for panel in 0..division.panels {
            let bytes = record * division.panel(panel).len();
            let sends = blocks(graph, ranks, |_| bytes)?;
            let receives = blocks(graph, ranks, |of| ranks * share_bytes(panel, of))?;
            sum_task(graph, &division, panel, accumulators, [sends[here], done])?;
            graph.all_to_all(&sends, &receives, |_, to| share_bytes(panel, to.index()));
            received.push(receives[here]);
        }
        let (mut own, mut gathered) = (Vec::new(), Vec::new());
        for (panel, received) in received.into_iter().enumerate() {
            let kept = graph.block(graph.rank(), share_bytes(panel, here))?;
            let parts = blocks(graph, ranks, |of| division.part_bytes(panel, of))?;
            let whole: usize = (0..ranks).map(|of| division.part_bytes(panel, of)).sum();
            let wholes = blocks(graph, ranks, |_| whole)?;
            divide_task::<T>(graph, &division, panel, [received, kept, parts[here]], asked.clone())?;
            graph.all_gather(&parts, &wholes);
            own.push(kept);
            gathered.push(wholes[here]);
        }
        let rest = division.layout.inertia().start..division.layout.words();
        let tails = blocks(graph, ranks, |_| WORD * rest.len())?;
        let (accumulators, stop) = (accumulators.clone(), division.layout.stop() - rest.start);
        graph.task("merge", graph.rank(), 0, &[Write(tails[here]), Read(done)], || {
            Box::new(move |context| {
                let mut tail = context.write(0);
                let tail = tail.of_mut::<i64>();
                tail.fill(0);
                for words in accumulators.used() {
                    add(tail, &words.read().of()[rest.clone()]);
                }
                tail[stop] = i64::from(asked().stop);
                Ok(())
            })
        })?;
        graph.all_reduce_and_agree(&tails);
        Ok(Shares { division, own, gathered, tail: tails[here] })
    }

    /// All words but the sums, and the new centres; centres without weight are zero.
    pub(crate) fn read<T: Real>(&self, graph: &Graph) -> (Vec<i64>, Vec<T>) {
        let Division { layout, fixed, clusters, .. } = &self.division;
        let columns = fixed.columns();
        let (mut words, mut centres) = (vec![0; layout.words()], vec![T::ZERO; clusters * columns]);
        words[layout.inertia().start..].copy_from_slice(graph.cell(self.tail).read().of());
        for (panel, &gathered) in self.gathered.iter().enumerate() {
            let gathered = graph.cell(gathered).read();
            let mut rest = &gathered[..];
            for rank in 0..self.division.ranks {
                let share = self.division.share(panel, rank);
                let (part, behind) = rest.split_at(self.division.part_bytes(panel, rank));
                rest = behind;
                let (counted, values) = part.split_at(share.len() * self.division.widths().1 * WORD);
                let mut counted = bytemuck::cast_slice::<u8, i64>(counted).iter();
                for cluster in share.clone() {
                    let places = self.division.counted(cluster);
                    places.zip(&mut counted).for_each(|(place, &word)| words[place] = word);
                }
                let values: &[T] = bytemuck::cast_slice(values);
                let share = share.start * columns..share.end * columns;
                centres[share.clone()].copy_from_slice(&values[..share.len()]);
            }
        }
        (words, centres)
    }

    /// Puts the sums of all clusters among the words. Cost: one gathering of all sums; for what is rare.
    pub(crate) fn gather_sums(&self, world: &World, graph: &Graph, words: &mut [i64]) -> Result<()> {
        let mine = self.own.iter().flat_map(|&own| graph.cell(own).read().to_vec()).collect();
        for (rank, part) in world.all_gather_bytes(mine)?.iter().enumerate() {
            let all: Vec<i64> = part.as_chunks().0.iter().map(|&bytes| i64::from_ne_bytes(bytes)).collect();
            let mut records = all.iter();
            for panel in 0..self.division.panels {
                self.division.put(self.division.share(panel, rank), words, &mut records);
            }
        }
        Ok(())
    }
}

/// A block of each rank.
fn blocks(graph: &mut GraphBuilder, ranks: usize, bytes: impl Fn(usize) -> usize) -> Result<Vec<BlockId>> {
    (0..ranks).map(|of| Ok(graph.block(Rank::from(of), bytes(of))?)).collect()
}

/// The task that adds up what this rank has of a panel: a record for each cluster, its sums, then count and weight.
fn sum_task(
    graph: &mut GraphBuilder,
    division: &Division,
    panel: usize,
    accumulators: &Accumulators,
    [send, done]: [BlockId; 2],
) -> Result<()> {
    let (division, accumulators) = (division.clone(), accumulators.clone());
    graph.task("merge", graph.rank(), 0, &[Write(send), Read(done)], || {
        Box::new(move |context| {
            let mut send = context.write(0);
            let send = send.of_mut::<i64>();
            send.fill(0);
            let width = division.record_bytes() / WORD;
            for words in accumulators.used() {
                let words = words.read();
                let words = words.of::<i64>();
                for (cluster, record) in division.panel(panel).zip(send.chunks_exact_mut(width)) {
                    let (sums, counts) = record.split_at_mut(division.widths().0);
                    add(sums, &words[division.layout.sum(cluster)]);
                    counts
                        .iter_mut()
                        .zip(division.counted(cluster))
                        .for_each(|(count, place)| *count = count.wrapping_add(words[place]));
                }
            }
            Ok(())
        })
    })?;
    Ok(())
}

/// The task that adds up what all ranks gave of this rank's share of a panel, and divides.
fn divide_task<T: Real + Element>(
    graph: &mut GraphBuilder,
    division: &Division,
    panel: usize,
    [received, kept, part]: [BlockId; 3],
    asked: impl Fn() -> Share + Send + Sync + 'static,
) -> Result<()> {
    let (division, here) = (division.clone(), graph.rank().index());
    graph.task("divide", graph.rank(), 0, &[Read(received), Write(kept), Write(part)], || {
        Box::new(move |context| {
            let (received, mut kept, mut part) = (context.read(0), context.write(1), context.write(2));
            let (received, kept) = (received.of::<i64>(), kept.of_mut::<i64>());
            if !asked().changes {
                kept.fill(0);
            }
            received.chunks_exact(kept.len().max(1)).for_each(|words| add(kept, words));
            let (sums, counts) = division.widths();
            let share = division.share(panel, here);
            let (counted, values) = part.split_at_mut(share.len() * counts * WORD);
            let counted: &mut [i64] = bytemuck::cast_slice_mut(counted);
            values.fill(0);
            let centres = bytemuck::cast_slice_mut::<u8, T>(values).chunks_exact_mut(division.fixed.columns());
            let records = kept.chunks_exact(sums + counts).zip(counted.chunks_exact_mut(counts));
            for ((record, counted), centre) in records.zip(centres) {
                let (sum, counts) = record.split_at(sums);
                counted.copy_from_slice(counts);
                division.layout.mean_of(&division.fixed, sum, counts, centre);
            }
            Ok(())
        })
    })?;
    Ok(())
}

fn add(into: &mut [i64], words: &[i64]) {
    into.iter_mut().zip(words).for_each(|(into, &word)| *into = into.wrapping_add(word));
}

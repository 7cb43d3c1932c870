//! Running results along an axis.
//!
//! Along any axis but the first, rows are scanned where they are. Along the first, every leaf is reduced; each rank
//! sends the roots of its subtrees, at most two for each level; and each leaf is scanned from what the subtrees
//! before it make together. So its bits follow from its number and the values alone.

use super::tree::{LeafBody, Words};
use super::{Accesses, Lowering, Placed};
use crate::distribution::{Layout, RowDistribution, TreeNode};
use crate::dtype::DType;
use crate::error::Result;
use crate::expr::Node;
use crate::kernel::fold::{self, Fold};
use crate::kernel::scan::scan;
use girih_runtime::ids::{BlockId, Rank};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// What is scanned, and how its elements lie around the axis.
#[derive(Clone, Copy, Debug)]
struct Scan {
    fold: Fold,
    dtype: DType,
    result: DType,
    /// Elements that follow one another from step to step.
    inner: usize,
    /// Elements of one scan: steps times `inner`.
    whole: usize,
}

/// Where partial results are from which each tile begins.
struct Before<'a> {
    /// Nodes of the tree on all ranks, by rank.
    nodes: Arc<Vec<Vec<TreeNode>>>,
    /// Their words, whole on every rank.
    words: &'a [BlockId],
    /// The blocks of this rank's tiles.
    tiles: &'a [BlockId],
}

impl Lowering<'_> {
    pub(super) fn scan(&mut self, node: &Arc<Node>, fold: Fold, axis: usize, input: &Arc<Node>) -> Result<()> {
        let shape = &input.shape;
        let inner: usize = shape[axis + 1..].iter().product();
        let whole = shape[axis] * inner;
        let work = Scan { fold, dtype: input.dtype, result: node.dtype, inner, whole };
        if let Some(part) = self.whole_now(input)
            && node.layout == Layout::Replicated
        {
            let source = part.tiles()[0].cell.read();
            return self.at_once(node, |out, _| work.run(&source, out));
        }
        let (source, output) = (self.placed(input), self.output(node)?);
        if axis == 0 && input.layout == Layout::Rows {
            return self.scan_across(node, work, &source, &output);
        }
        for rank in self.ranks() {
            let tiles = output.tiles[rank.index()].len();
            for tile in 0..tiles {
                let mut accesses = Accesses::default();
                let read = accesses.read(source.tile(rank, tile).block);
                let target = accesses.write(output.tile(rank, tile).block);
                let domain = self.domain(rank, tile, tiles);
                self.graph().task("scan rows", rank, domain, &accesses.list, || {
                    Box::new(move |context| {
                        work.run(&context.read(read), &mut context.write(target));
                        Ok(())
                    })
                })?;
            }
        }
        Ok(())
    }

    fn scan_across(&mut self, node: &Arc<Node>, work: Scan, source: &Rc<Placed>, output: &Rc<Placed>) -> Result<()> {
        let distribution = self.distribution(node.shape.rows());
        let Scan { fold, dtype, result, inner, .. } = work;
        let words = Words { fold, dtype, width: inner, divisor: None, result };
        let tree = distribution.tree();
        let nodes: Vec<_> = self.ranks().map(|rank| tree.nodes(&distribution.leaves_of(rank))).collect();
        let (nodes, mut parts, mut tiles) = (Arc::new(nodes), Vec::new(), Vec::new());
        for rank in self.ranks() {
            let bytes = nodes[rank.index()].len() * words.length() * size_of::<u64>();
            let part = self.graph().block(rank, bytes)?;
            parts.push(part);
            let leaves = |rank: Rank, tile: usize, accesses: &mut Accesses| {
                total_body(work, source, &distribution, (rank, tile), accesses)
            };
            tiles.push(self.rank_nodes(rank, &distribution, words, &leaves, part)?);
        }
        let wholes = self.gathered_nodes(&nodes, words, &parts)?;
        for rank in self.ranks() {
            let count = tiles[rank.index()].len();
            for tile in 0..count {
                let before = Before { nodes: Arc::clone(&nodes), words: &wholes, tiles: &tiles[rank.index()][..tile] };
                self.scan_tile((rank, tile, count), work, words, &distribution, before, [source, output])?;
            }
        }
        Ok(())
    }

    /// The words of all ranks' nodes, on every rank.
    fn gathered_nodes(&mut self, nodes: &[Vec<TreeNode>], words: Words, parts: &[BlockId]) -> Result<Vec<BlockId>> {
        if self.world.size() == 1 {
            return Ok(parts.to_vec());
        }
        let total: usize = nodes.iter().map(Vec::len).sum();
        let wholes =
            self.ranks().map(|rank| Ok(self.graph().block(rank, total * words.length() * size_of::<u64>())?));
        let wholes = wholes.collect::<Result<Vec<_>>>()?;
        self.graph().all_gather(parts, &wholes);
        Ok(wholes)
    }

    fn scan_tile(
        &mut self,
        (rank, tile, tiles): (Rank, usize, usize),
        work: Scan,
        words: Words,
        distribution: &RowDistribution,
        before: Before<'_>,
        [source, output]: [&Placed; 2],
    ) -> Result<()> {
        let mut accesses = Accesses::default();
        let gathered = accesses.read(before.words[rank.index()]);
        let earlier: Vec<usize> = before.tiles.iter().map(|&block| accesses.read(block)).collect();
        let read = accesses.read(source.tile(rank, tile).block);
        let target = accesses.write(output.tile(rank, tile).block);
        let (domain, distribution, nodes) = (self.domain(rank, tile, tiles), *distribution, before.nodes);
        self.graph().task("scan", rank, domain, &accesses.list, || {
            Box::new(move |context| {
                let mut combiner = words.combiner(distribution.tree());
                let all = context.read(gathered);
                let held = nodes[..rank.index()].iter().flatten();
                for (node, partial) in held.zip(all.of::<u64>().chunks(words.length())) {
                    combiner.push(*node, partial.to_vec());
                }
                for (tile, &access) in earlier.iter().enumerate() {
                    let nodes = distribution.tree().nodes(&distribution.leaves_of_tile(rank, tile));
                    let partials = context.read(access);
                    for (node, partial) in nodes.into_iter().zip(partials.of::<u64>().chunks(words.length())) {
                        combiner.push(node, partial.to_vec());
                    }
                }
                let (values, mut out) = (context.read(read), context.write(target));
                let first = distribution.rows_of_tile(rank, tile).start;
                for leaf in distribution.leaves_of_tile(rank, tile) {
                    let mut state = vec![0; words.length()];
                    work.fold.clear(work.dtype, &mut state);
                    combiner
                        .nodes()
                        .iter()
                        .for_each(|(_, node)| fold::combine(work.fold, work.dtype, &mut state, node));
                    let rows = distribution.rows_of_leaves(&(leaf..leaf + 1));
                    let rows = rows.start - first..rows.end - first;
                    let values = &values[bytes(&rows, work.inner, work.dtype)];
                    let out = &mut out[bytes(&rows, work.inner, work.result)];
                    scan(work.fold, (work.dtype, work.inner), values, &mut state, (work.result, out));
                    combiner.push(TreeNode { level: 0, index: leaf }, work.total(values));
                }
                Ok(())
            })
        })?;
        Ok(())
    }
}

impl Scan {
    /// Scans whole axes, one after the other.
    fn run(&self, values: &[u8], out: &mut [u8]) {
        if self.whole == 0 {
            return;
        }
        let mut state = vec![0; self.inner * fold::unit(self.fold, self.dtype)];
        let values = values.chunks(self.whole * self.dtype.bytes());
        for (values, out) in values.zip(out.chunks_mut(self.whole * self.result.bytes())) {
            self.fold.clear(self.dtype, &mut state);
            scan(self.fold, (self.dtype, self.inner), values, &mut state, (self.result, out));
        }
    }

    /// The words of all steps of a leaf together.
    fn total(&self, values: &[u8]) -> Vec<u64> {
        let mut words = Vec::with_capacity(self.inner * fold::unit(self.fold, self.dtype));
        if self.inner == 1 {
            fold::runs(self.fold, self.dtype, values, values.len() / self.dtype.bytes(), &mut words);
            return words;
        }
        words.resize(self.inner * fold::unit(self.fold, self.dtype), 0);
        self.fold.clear(self.dtype, &mut words);
        for step in values.chunks(self.inner * self.dtype.bytes()) {
            fold::accumulate(self.fold, self.dtype, step, &mut words);
        }
        words
    }
}

/// The body that reduces a tile's leaves, and what it reads.
fn total_body(
    work: Scan,
    source: &Placed,
    distribution: &RowDistribution,
    (rank, tile): (Rank, usize),
    accesses: &mut Accesses,
) -> LeafBody {
    let read = accesses.read(source.tile(rank, tile).block);
    let distribution = *distribution;
    Box::new(move |context, emit| {
        let values = context.read(read);
        let first = distribution.rows_of_tile(rank, tile).start;
        for leaf in distribution.leaves_of_tile(rank, tile) {
            let rows = distribution.rows_of_leaves(&(leaf..leaf + 1));
            emit(&work.total(&values[bytes(&(rows.start - first..rows.end - first), work.inner, work.dtype)]));
        }
    })
}

fn bytes(rows: &Range<usize>, row_elements: usize, dtype: DType) -> Range<usize> {
    let row = row_elements * dtype.bytes();
    rows.start * row..rows.end * row
}

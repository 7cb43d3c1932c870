//! Partial results of leaves, combined along the canonical tree on all ranks.
//!
//! A task of each tile leaves the words of the tree's nodes that lie within the tile; a task of each rank
//! combines them as far as the rank's leaves reach; one all-gather brings what is left to every rank, which
//! finishes the tree for the part of the result that it keeps.

use super::{Accesses, Lowering, Placed};
use crate::distribution::{Combiner, RowDistribution, Tree, TreeNode};
use crate::dtype::DType;
use crate::error::Result;
use crate::expr::Node;
use crate::kernel::fold::{self, Fold};
use girih_runtime::graph::Context;
use girih_runtime::ids::{BlockId, Rank};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// How words of the tree combine and become elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub(super) fold: Fold,
    /// The type of what was reduced, which that of the words follows from.
    pub(super) dtype: DType,
    /// Values of a node of the tree.
    pub(super) width: usize,
    pub(super) divisor: Option<f64>,
    pub(super) result: DType,
}

/// Leaves of no more words are combined level by level, all of a tile at once.
pub(super) const SHORT_WORDS: usize = 64;

/// Computes a tile's leaves: calls its argument with the words of one or more leaves, in order.
pub(super) type LeafBody = Box<dyn Fn(&Context<'_>, &mut dyn FnMut(&[u64])) + Send + Sync>;

impl Words {
    /// Writes words, from number `first` of the result on, as elements.
    pub(super) fn finish(&self, words: &[u64], out: &mut [u8]) {
        fold::finish(self.fold, words, self.dtype, self.divisor, self.result, out);
    }

    /// Words of a value.
    pub(super) fn unit(&self) -> usize {
        fold::unit(self.fold, self.dtype)
    }

    /// Words of a node of the tree.
    pub(super) fn length(&self) -> usize {
        self.width * self.unit()
    }

    /// What the leaves of a node of the tree leave: neighbours combine, and one without a neighbour rises.
    pub(super) fn subtree(self, leaves: Vec<u64>) -> Vec<u64> {
        let (length, mut nodes) = (self.length(), leaves);
        let mut right = Vec::with_capacity(nodes.len() / 2);
        while nodes.len() > length {
            // Those on the left move together, those on the right apart.
            let (count, pairs) = (nodes.len() / length, nodes.len() / length / 2);
            right.clear();
            match length {
                1 => part::<1>(&mut nodes, &mut right, pairs),
                2 => part::<2>(&mut nodes, &mut right, pairs),
                _ => {
                    for index in 0..pairs {
                        right.extend_from_slice(&nodes[(2 * index + 1) * length..][..length]);
                        nodes.copy_within(2 * index * length..(2 * index + 1) * length, index * length);
                    }
                }
            }
            if count % 2 == 1 {
                nodes.copy_within((count - 1) * length..count * length, pairs * length);
            }
            nodes.truncate(count.div_ceil(2) * length);
            fold::combine(self.fold, self.dtype, &mut nodes[..right.len()], &right);
        }
        nodes
    }

    pub(super) fn combiner(self, tree: Tree) -> Combiner<Vec<u64>, impl FnMut(&mut Vec<u64>, Vec<u64>)> {
        Combiner::new(tree, move |left: &mut Vec<u64>, right: Vec<u64>| {
            fold::combine(self.fold, self.dtype, left, &right);
        })
    }
}

/// Moves the left ones of so many pairs of nodes of N words together, and the right ones apart.
fn part<const N: usize>(nodes: &mut [u64], right: &mut Vec<u64>, pairs: usize) {
    let (nodes, _) = nodes.as_chunks_mut::<N>();
    for index in 0..pairs {
        right.extend(nodes[2 * index + 1]);
        nodes[index] = nodes[2 * index];
    }
}

impl Lowering<'_> {
    /// Reduces the leaves of `distribution` to `node`; `leaves` gives the accesses and the body for a tile.
    pub(super) fn tree(
        &mut self,
        node: &Arc<Node>,
        distribution: &RowDistribution,
        words: Words,
        leaves: &dyn Fn(Rank, usize, &mut Accesses) -> LeafBody,
    ) -> Result<()> {
        let bytes = |nodes: usize| nodes * words.length() * size_of::<u64>();
        let tree = distribution.tree();
        let (mut parts, mut wholes) = (Vec::new(), Vec::new());
        let mut total = 0;
        for rank in self.ranks() {
            let nodes = tree.nodes(&distribution.leaves_of(rank)).len();
            parts.push(self.graph().block(rank, bytes(nodes))?);
            total += nodes;
        }
        for rank in self.ranks() {
            self.rank_nodes(rank, distribution, words, leaves, parts[rank.index()])?;
        }
        if self.world.size() == 1 {
            wholes.clone_from(&parts);
        } else {
            for rank in self.ranks() {
                wholes.push(self.graph().block(rank, bytes(total))?);
            }
            self.graph().all_gather(&parts, &wholes);
        }
        let output = self.output(node)?;
        self.finish_tree(node, distribution, words, &wholes, &output)
    }

    /// Tasks that leave a rank's nodes of the tree in `part`; the blocks in which each tile's are.
    pub(super) fn rank_nodes(
        &mut self,
        rank: Rank,
        distribution: &RowDistribution,
        words: Words,
        leaves: &dyn Fn(Rank, usize, &mut Accesses) -> LeafBody,
        part: BlockId,
    ) -> Result<Vec<BlockId>> {
        let (tree, tiles) = (distribution.tree(), distribution.tiles_of(rank));
        let mut accesses = Accesses::default();
        let (mut held, mut blocks) = (Vec::new(), Vec::with_capacity(tiles));
        for tile in 0..tiles {
            let range = distribution.leaves_of_tile(rank, tile);
            let nodes = tree.nodes(&range);
            let block = self.graph().block(rank, nodes.len() * words.length() * size_of::<u64>())?;
            accesses.read(block);
            blocks.push(block);
            held.extend(nodes);
            let mut accesses = Accesses::default();
            let body = leaves(rank, tile, &mut accesses);
            let target = accesses.write(block);
            let domain = self.domain(rank, tile, tiles);
            self.graph().task("reduce", rank, domain, &accesses.list, || {
                Box::new(move |context| {
                    let nodes = tile_nodes(words, tree, &range, &|emit| body(context, emit));
                    store(nodes, context.write(target).of_mut());
                    Ok(())
                })
            })?;
        }
        if tiles == 0 {
            return Ok(blocks);
        }
        let target = accesses.write(part);
        self.graph().task("combine", rank, 0, &accesses.list, || {
            Box::new(move |context| {
                let mut combiner = words.combiner(tree);
                let mut nodes = held.iter();
                for access in 0..target {
                    for partial in context.read(access).of::<u64>().chunks(words.length()) {
                        combiner.push(*nodes.next().expect("a node for each partial"), partial.to_vec());
                    }
                }
                store(combiner.into_nodes(), context.write(target).of_mut());
                Ok(())
            })
        })?;
        Ok(blocks)
    }

    /// Tasks that combine the nodes of all ranks and write the elements.
    fn finish_tree(
        &mut self,
        node: &Arc<Node>,
        distribution: &RowDistribution,
        words: Words,
        wholes: &[BlockId],
        output: &Rc<Placed>,
    ) -> Result<()> {
        let tree = distribution.tree();
        let leaves = self.ranks().map(|rank| tree.nodes(&distribution.leaves_of(rank)));
        let nodes: Arc<Vec<TreeNode>> = Arc::new(leaves.flatten().collect());
        let row_elements = node.shape.row_elements();
        for rank in self.ranks() {
            let tiles = &output.tiles[rank.index()];
            for (index, tile) in tiles.iter().enumerate() {
                let mut accesses = Accesses::default();
                let source = accesses.read(wholes[rank.index()]);
                let target = accesses.write(tile.block);
                let (nodes, rows) = (Arc::clone(&nodes), tile.rows.clone());
                let per_row = row_elements * words.unit();
                let columns = rows.start * per_row..rows.end * per_row;
                let domain = self.domain(rank, index, tiles.len());
                self.graph().task("finish", rank, domain, &accesses.list, || {
                    Box::new(move |context| {
                        let mut combiner = words.combiner(tree);
                        let all = context.read(source);
                        for (node, partial) in nodes.iter().zip(all.of::<u64>().chunks(words.length())) {
                            combiner.push(*node, partial[columns.clone()].to_vec());
                        }
                        let (_, root) = combiner.into_nodes().pop().expect("a tree has leaves");
                        words.finish(&root, &mut context.write(target));
                        Ok(())
                    })
                })?;
            }
        }
        Ok(())
    }
}

/// The nodes of the tree that lie within a run of leaves, which `body` gives.
pub(super) fn tile_nodes(
    words: Words,
    tree: Tree,
    leaves: &Range<usize>,
    body: &dyn Fn(&mut dyn FnMut(&[u64])),
) -> Vec<(TreeNode, Vec<u64>)> {
    let length = words.length();
    if length > SHORT_WORDS {
        let (mut combiner, mut index) = (words.combiner(tree), leaves.start);
        body(&mut |several| {
            for leaf in several.chunks(length) {
                combiner.push(TreeNode { level: 0, index }, leaf.to_vec());
                index += 1;
            }
        });
        return combiner.into_nodes();
    }
    let mut all = Vec::with_capacity(leaves.len() * length);
    body(&mut |several| all.extend_from_slice(several));
    let mut rest = &all[..];
    let nodes = tree.nodes(leaves).into_iter().map(|node| {
        let end = ((node.index + 1) << node.level).min(leaves.end);
        let (own, behind) = rest.split_at((end - (node.index << node.level)) * length);
        rest = behind;
        (node, words.subtree(own.to_vec()))
    });
    nodes.collect()
}

fn store(nodes: Vec<(TreeNode, Vec<u64>)>, out: &mut [u64]) {
    let mut rest = out;
    for (_, words) in nodes {
        let (front, back) = rest.split_at_mut(words.len());
        front.copy_from_slice(&words);
        rest = back;
    }
    assert!(rest.is_empty(), "a range of leaves left fewer nodes than it has");
}

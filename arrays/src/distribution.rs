//! Which rank holds which rows, in which tiles, and how partial results of rows combine.
//!
//! Everything about rows follows from their number alone, so arrays with equally many rows are aligned.
//! Rows are counted in leaves. Neither the size of a leaf nor the tree above the leaves depends on ranks or
//! tiles; this is why sums have the same bits however the rows are spread.
//! Never here: data, shapes beyond the first axis, messages.

use crate::dtype::DType;
use crate::shape::Shape;
use girih_runtime::ids::Rank;
use std::ops::Range;

/// Arrays of at most so many bytes live whole on every rank.
pub const REPLICATED_BYTES_MAX: usize = 64 << 10;
const LEAVES_MAX: usize = 4096;
const LEAF_ROWS_MAX: usize = 8192;
/// Enough tiles for workers to share evenly, few enough that a task is worth its scheduling.
const TILES_PER_RANK: usize = 32;

/// Where the elements of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All of them on every rank.
    Replicated,
    /// Runs of rows, one run on each rank.
    Rows,
}

impl Layout {
    /// The layout of every array of this shape and type.
    pub fn of(shape: &Shape, dtype: DType) -> Layout {
        let small = shape.elements() * dtype.bytes() <= REPLICATED_BYTES_MAX;
        if small || shape.is_empty() { Layout::Replicated } else { Layout::Rows }
    }
}

/// Rows spread over ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowDistribution {
    rows: usize,
    leaf_rows: usize,
    leaves: usize,
    ranks: usize,
    tile_leaves: usize,
}

/// A node of the canonical tree: it stands for the leaves `index << level ..`, as far as there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeNode {
    /// Height above the leaves.
    pub level: u32,
    /// Place among the nodes of its level.
    pub index: usize,
}

impl RowDistribution {
    /// Spreads rows over ranks; `tile_bytes` bounds a tile of one column of eight-byte elements.
    pub fn new(rows: usize, ranks: usize, tile_bytes: usize) -> RowDistribution {
        assert!(ranks > 0, "a world has at least one rank");
        let leaf_rows = rows.div_ceil(LEAVES_MAX).next_power_of_two().clamp(1, LEAF_ROWS_MAX);
        let leaves = rows.div_ceil(leaf_rows);
        let tile_leaves_max = (tile_bytes / 8 / leaf_rows).max(1);
        let tile_leaves = (leaves / (ranks * TILES_PER_RANK)).clamp(1, tile_leaves_max);
        RowDistribution { rows, leaf_rows, leaves, ranks, tile_leaves }
    }

    /// The same rows in longer leaves, for partial results that are dear to combine.
    pub(crate) fn with_leaf_rows(&self, leaf_rows: usize) -> RowDistribution {
        let leaves = self.rows.div_ceil(leaf_rows);
        let tile_leaves = (leaves / (self.ranks * TILES_PER_RANK)).max(1);
        RowDistribution { leaf_rows, leaves, tile_leaves, ..*self }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of every leaf but perhaps the last.
    pub fn leaf_rows(&self) -> usize {
        self.leaf_rows
    }

    /// The number of leaves.
    pub fn leaves(&self) -> usize {
        self.leaves
    }

    /// The number of ranks.
    pub fn ranks(&self) -> usize {
        self.ranks
    }

    /// The leaves of a rank; the first `leaves % ranks` ranks have one more than the others.
    pub fn leaves_of(&self, rank: Rank) -> Range<usize> {
        let (each, more) = (self.leaves / self.ranks, self.leaves % self.ranks);
        let start = |rank: usize| rank * each + rank.min(more);
        start(rank.index())..start(rank.index() + 1)
    }

    /// The rows of a run of leaves.
    pub fn rows_of_leaves(&self, leaves: &Range<usize>) -> Range<usize> {
        let row = |leaf: usize| (leaf * self.leaf_rows).min(self.rows);
        row(leaves.start)..row(leaves.end)
    }

    /// The rows of a rank.
    pub fn rows_of(&self, rank: Rank) -> Range<usize> {
        self.rows_of_leaves(&self.leaves_of(rank))
    }

    /// The number of tiles of a rank.
    pub fn tiles_of(&self, rank: Rank) -> usize {
        self.leaves_of(rank).len().div_ceil(self.tile_leaves)
    }

    /// The leaves of a rank's tile.
    pub fn leaves_of_tile(&self, rank: Rank, tile: usize) -> Range<usize> {
        let leaves = self.leaves_of(rank);
        let start = leaves.start + tile * self.tile_leaves;
        start..(start + self.tile_leaves).min(leaves.end)
    }

    /// The rows of a rank's tile.
    pub fn rows_of_tile(&self, rank: Rank, tile: usize) -> Range<usize> {
        self.rows_of_leaves(&self.leaves_of_tile(rank, tile))
    }

    /// The rank that holds a row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn owner(&self, row: usize) -> Rank {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let leaf = row / self.leaf_rows;
        let (each, more) = (self.leaves / self.ranks, self.leaves % self.ranks);
        let rank = if leaf < more * (each + 1) { leaf / (each + 1) } else { more + (leaf - more * (each + 1)) / each };
        Rank::from(rank)
    }

    /// The tree on the leaves.
    pub fn tree(&self) -> Tree {
        Tree { leaves: self.leaves }
    }
}

/// The canonical binary tree: node i of a level has the children 2i and 2i + 1; a lone last child passes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree {
    leaves: usize,
}

impl Tree {
    /// The largest nodes that lie wholly within a run of leaves, in order.
    ///
    /// Cost: at most two nodes of each level, found in as many steps.
    pub fn nodes(&self, leaves: &Range<usize>) -> Vec<TreeNode> {
        let (mut nodes, mut next) = (Vec::new(), leaves.start);
        while next < leaves.end {
            let mut node = self.risen(TreeNode { level: 0, index: next });
            while node.index.is_multiple_of(2) && self.count(node.level) > 1 {
                let above = TreeNode { level: node.level + 1, index: node.index / 2 };
                if self.end(above) > leaves.end {
                    break;
                }
                node = self.risen(above);
            }
            next = self.end(node);
            nodes.push(node);
        }
        nodes
    }

    /// The leaf behind those of a node.
    fn end(&self, node: TreeNode) -> usize {
        ((node.index + 1) << node.level).min(self.leaves)
    }

    /// A node at the place it reaches by passing up alone.
    fn risen(&self, mut node: TreeNode) -> TreeNode {
        loop {
            let count = self.count(node.level);
            if count == 1 || node.index % 2 == 1 || node.index + 1 < count {
                return node;
            }
            node = TreeNode { level: node.level + 1, index: node.index / 2 };
        }
    }

    fn count(&self, level: u32) -> usize {
        self.leaves.div_ceil(1 << level)
    }
}

/// Combines partial results in the order of the tree, as they come from left to right.
pub struct Combiner<T, F> {
    tree: Tree,
    /// Adds the right sibling to the left.
    combine: F,
    stack: Vec<(TreeNode, T)>,
}

impl<T, F: FnMut(&mut T, T)> Combiner<T, F> {
    /// Nothing combined yet.
    pub fn new(tree: Tree, combine: F) -> Combiner<T, F> {
        Combiner { tree, combine, stack: Vec::new() }
    }

    /// Adds the next partial result; nodes come in ascending order and without gaps.
    pub fn push(&mut self, node: TreeNode, partial: T) {
        let mut node = self.tree.risen(node);
        let mut partial = partial;
        while node.index % 2 == 1 {
            let sibling = TreeNode { level: node.level, index: node.index - 1 };
            let Some((_, mut left)) = self.stack.pop_if(|(left, _)| *left == sibling) else { break };
            (self.combine)(&mut left, partial);
            partial = left;
            node = self.tree.risen(TreeNode { level: node.level + 1, index: node.index / 2 });
        }
        self.stack.push((node, partial));
    }

    /// The nodes so far, in order.
    pub fn nodes(&self) -> &[(TreeNode, T)] {
        &self.stack
    }

    /// The nodes that remain, in order: the root alone if all leaves came.
    pub fn into_nodes(self) -> Vec<(TreeNode, T)> {
        self.stack
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TILE_BYTES: usize = 1 << 20;

    #[test]
    fn leaves_follow_from_the_number_of_rows_alone() {
        for (rows, leaf_rows, leaves) in
            [(0, 1, 0), (1, 1, 1), (4096, 1, 4096), (4097, 2, 2049), (10_007, 4, 2502), (1 << 26, 8192, 8192)]
        {
            for ranks in [1, 2, 3, 7] {
                let distribution = RowDistribution::new(rows, ranks, TILE_BYTES);
                assert_eq!((distribution.leaf_rows(), distribution.leaves()), (leaf_rows, leaves), "{rows} rows");
            }
        }
    }

    #[test]
    fn small_arrays_and_single_numbers_are_replicated() {
        let layout = |lengths: &[usize], dtype| Layout::of(&Shape::new(lengths).unwrap(), dtype);
        assert_eq!(layout(&[], DType::Float64), Layout::Replicated);
        assert_eq!(layout(&[8192], DType::Float64), Layout::Replicated);
        assert_eq!(layout(&[8193], DType::Float64), Layout::Rows);
        assert_eq!(layout(&[1 << 16], DType::Bool), Layout::Replicated);
        assert_eq!(layout(&[0, 1 << 40], DType::Float64), Layout::Replicated);
    }

    /// Sums leaves as text, so that the order of combination can be read.
    fn tree_of(leaves: usize) -> String {
        let tree = Tree { leaves };
        let mut all = Combiner::new(tree, |left: &mut String, right: String| *left = format!("({left}{right})"));
        for leaf in 0..leaves {
            all.push(TreeNode { level: 0, index: leaf }, ((b'a' + leaf as u8) as char).to_string());
        }
        all.into_nodes().pop().unwrap().1
    }

    #[test]
    fn a_lone_last_child_passes_up() {
        assert_eq!(tree_of(1), "a");
        assert_eq!(tree_of(3), "((ab)c)");
        assert_eq!(tree_of(5), "(((ab)(cd))e)");
        assert_eq!(tree_of(7), "(((ab)(cd))((ef)g))");
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_tile_of_one_rank(
            rows in 0_usize..40_000,
            ranks in 1_usize..9,
            tile_rows in 1_usize..9000,
        ) {
            let distribution = RowDistribution::new(rows, ranks, tile_rows * 8);
            let mut next = 0;
            for rank in (0..ranks).map(Rank::from) {
                prop_assert_eq!(distribution.rows_of(rank).start, next);
                for tile in 0..distribution.tiles_of(rank) {
                    let range = distribution.rows_of_tile(rank, tile);
                    prop_assert_eq!(range.start, next);
                    prop_assert!(!range.is_empty());
                    prop_assert_eq!(distribution.owner(range.start), rank);
                    prop_assert_eq!(distribution.owner(range.end - 1), rank);
                    next = range.end;
                }
                prop_assert_eq!(distribution.rows_of(rank).end, next);
            }
            prop_assert_eq!(next, rows);
        }

        #[test]
        fn ranks_hold_nearly_equal_numbers_of_leaves(rows in 1_usize..1_000_000, ranks in 1_usize..9) {
            let distribution = RowDistribution::new(rows, ranks, TILE_BYTES);
            let held: Vec<usize> = (0..ranks).map(|rank| distribution.leaves_of(Rank::from(rank)).len()).collect();
            prop_assert!(held.iter().max().unwrap() - held.iter().min().unwrap() <= 1);
        }

        #[test]
        fn the_tree_does_not_depend_on_how_leaves_are_cut(
            leaves in 1_usize..200,
            cuts in prop::collection::vec(0_usize..200, 0..8),
        ) {
            let tree = Tree { leaves };
            let text = |left: &mut String, right: String| *left = format!("({left} {right})");
            let leaf = |index| (TreeNode { level: 0, index }, index.to_string());
            let mut whole = Combiner::new(tree, text);
            (0..leaves).map(leaf).for_each(|(node, partial)| whole.push(node, partial));

            let mut bounds: Vec<usize> = cuts.into_iter().map(|cut| cut % (leaves + 1)).chain([0, leaves]).collect();
            bounds.sort_unstable();
            let mut joined = Combiner::new(tree, text);
            for bound in bounds.windows(2) {
                let mut part = Combiner::new(tree, text);
                (bound[0]..bound[1]).map(leaf).for_each(|(node, partial)| part.push(node, partial));
                let part = part.into_nodes();
                let named: Vec<TreeNode> = part.iter().map(|(node, _)| *node).collect();
                prop_assert_eq!(named, tree.nodes(&(bound[0]..bound[1])));
                part.into_iter().for_each(|(node, partial)| joined.push(node, partial));
            }
            prop_assert_eq!(joined.into_nodes(), whole.into_nodes());
        }
    }
}

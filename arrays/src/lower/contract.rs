//! Matrix products: rows by a whole matrix, or across the rows of two matrices.

use super::tree::{LeafBody, Words};
use super::{Accesses, Lowering, Placed};
use crate::distribution::{Layout, RowDistribution};
use crate::dtype::DType;
use crate::error::Result;
use crate::expr::{Node, View};
use crate::kernel::fold::{self, Fold};
use crate::kernel::product::{self, Across};
use bytemuck::cast_slice_mut;
use girih_runtime::ids::Rank;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// Elements of a product across rows from which on its leaves are made longer.
const LARGE_RESULT: usize = 128 * 128;
const LONG_LEAF_ROWS: usize = 256;

/// Rows for which it pays to arrange a large matrix for their product.
const ROWS_WORTH_ARRANGING: usize = 256;
/// Products of a rank there are at least, if it has as many tiles, for its workers to share.
const GROUPS_MIN: usize = 4;

impl Lowering<'_> {
    /// `lhs` (m×k) by `rhs` (k×n): every row by the whole of `rhs`, which is gathered if it is spread.
    pub(super) fn product(
        &mut self,
        node: &Arc<Node>,
        lhs: &Arc<Node>,
        rhs: &Arc<Node>,
        [m, k, n]: [usize; 3],
    ) -> Result<()> {
        let dtype = node.dtype;
        if node.layout == Layout::Replicated
            && let (Some(a), Some(b)) = (self.whole_now(lhs), self.whole_now(rhs))
        {
            let (a, b) = (a.tiles()[0].cell.read(), b.tiles()[0].cell.read());
            return self.at_once(node, |out, _| product::rows(dtype, m, k, n, &a, &b, out));
        }
        let (a, b) = (self.placed(lhs), self.whole(rhs)?);
        if node.layout == Layout::Replicated && a.layout == Layout::Replicated {
            let output = self.output(node)?;
            for rank in self.ranks() {
                self.product_tile(rank, (0, 1), dtype, [k, n], &(0..m), [&a, &b, &output])?;
            }
            return Ok(());
        }
        assert!(lhs.shape.len() == 2, "a vector by a spread matrix is a product across rows");
        self.by_rows(node, |lowering, distribution, output| {
            for rank in lowering.ranks() {
                let tiles = distribution.tiles_of(rank);
                if tiles == 0 {
                    continue;
                }
                // The library arranges the whole of `rhs` anew for each product, which is dear for a few rows.
                let rows = distribution.rows_of(rank).len();
                let few = rows.div_ceil(tiles) < ROWS_WORTH_ARRANGING && k * n >= LARGE_RESULT;
                let groups =
                    if few { rows.div_ceil(ROWS_WORTH_ARRANGING).clamp(GROUPS_MIN.min(tiles), tiles) } else { tiles };
                for group in 0..groups {
                    let tiles = tiles * group / groups..tiles * (group + 1) / groups;
                    lowering.product_tiles(rank, tiles, dtype, [k, n], [&a, &b, output])?;
                }
            }
            Ok(())
        })
    }

    /// One product for the rows of some tiles that follow one another.
    fn product_tiles(
        &mut self,
        rank: Rank,
        tiles: Range<usize>,
        dtype: DType,
        [k, n]: [usize; 2],
        [a, b, out]: [&Placed; 3],
    ) -> Result<()> {
        let count = out.tiles[rank.index()].len();
        if tiles.len() == 1 {
            let rows = out.tile(rank, tiles.start).rows.clone();
            return self.product_tile(rank, (tiles.start, count), dtype, [k, n], &rows, [a, b, out]);
        }
        let mut accesses = Accesses::default();
        let rhs = accesses.read(b.tile(rank, tiles.start).block);
        let mut parts = Vec::with_capacity(tiles.len());
        for tile in tiles.clone() {
            let (held, target) = (a.tile(rank, tile), out.tile(rank, tile));
            let first = (target.rows.start - held.rows.start) * k * dtype.bytes();
            parts.push((accesses.read(held.block), first, target.rows.len()));
        }
        let targets: Vec<usize> = tiles.clone().map(|tile| accesses.write(out.tile(rank, tile).block)).collect();
        let domain = self.domain(rank, tiles.start, count);
        self.graph().task("product", rank, domain, &accesses.list, || {
            Box::new(move |context| {
                let rows: usize = parts.iter().map(|(_, _, rows)| rows).sum();
                let (mut lhs, mut result) = (room(rows * k * dtype.bytes()), room(rows * n * dtype.bytes()));
                let lhs = &mut cast_slice_mut::<u64, u8>(&mut lhs)[..rows * k * dtype.bytes()];
                let mut at = 0;
                for (access, first, rows) in &parts {
                    let bytes = rows * k * dtype.bytes();
                    lhs[at..at + bytes].copy_from_slice(&context.read(*access)[*first..*first + bytes]);
                    at += bytes;
                }
                let result = &mut cast_slice_mut::<u64, u8>(&mut result)[..rows * n * dtype.bytes()];
                product::rows(dtype, rows, k, n, lhs, &context.read(rhs), result);
                let mut rest = &result[..];
                for target in &targets {
                    let mut target = context.write(*target);
                    let (front, back) = rest.split_at(target.len());
                    target.copy_from_slice(front);
                    rest = back;
                }
                Ok(())
            })
        })?;
        Ok(())
    }

    fn product_tile(
        &mut self,
        rank: Rank,
        (tile, tiles): (usize, usize),
        dtype: DType,
        [k, n]: [usize; 2],
        rows: &Range<usize>,
        [a, b, out]: [&Placed; 3],
    ) -> Result<()> {
        let mut accesses = Accesses::default();
        let a_tile = a.tile(rank, tile);
        let (lhs, rhs) = (accesses.read(a_tile.block), accesses.read(b.tile(rank, tile).block));
        let target = accesses.write(out.tile(rank, tile).block);
        let (first, m) = ((rows.start - a_tile.rows.start) * k * dtype.bytes(), rows.len());
        let domain = self.domain(rank, tile, tiles);
        self.graph().task("product", rank, domain, &accesses.list, || {
            Box::new(move |context| {
                let (a, b) = (context.read(lhs), context.read(rhs));
                let a = &a[first..first + m * k * dtype.bytes()];
                product::rows(dtype, m, k, n, a, &b, &mut context.write(target));
                Ok(())
            })
        })?;
        Ok(())
    }

    /// `xᵀ·y`: a product for each leaf, summed along the tree.
    ///
    /// Where results are large, adding them up leaf by leaf would cost more than the products. Leaves are then
    /// made longer; rows are copied into tiles that fit them, and a few near the ends of ranks travel.
    pub(super) fn across(&mut self, node: &Arc<Node>, x: &Arc<Node>, y: &Arc<Node>) -> Result<()> {
        let (m, n) = (x.shape.row_elements(), y.shape.row_elements());
        let rows = x.shape.rows();
        let mut distribution = self.distribution(rows);
        // Sums of bools count; that a count differs from zero is what their product asks.
        let words = Words { fold: Fold::Sum, dtype: node.dtype, width: m * n, divisor: None, result: node.dtype };
        if m * n == 0 {
            return self.at_once_or_empty(node);
        }
        let (mut x_placed, mut y_placed) = (self.placed(x), self.placed(y));
        if m * n >= LARGE_RESULT && distribution.leaf_rows() < LONG_LEAF_ROWS {
            distribution = distribution.with_leaf_rows(LONG_LEAF_ROWS);
            x_placed = self.cut_anew(&x_placed, x, &distribution)?;
            y_placed = self.cut_anew(&y_placed, y, &distribution)?;
        }
        self.tree(node, &distribution, words, &|rank, tile, accesses| {
            across_body(&distribution, (rank, tile), node.dtype, [m, n], [&x_placed, &y_placed], accesses)
        })
    }

    /// A copy of rows in other tiles; what is whole everywhere stays as it is.
    pub(super) fn cut_anew(&mut self, placed: &Rc<Placed>, node: &Node, to: &RowDistribution) -> Result<Rc<Placed>> {
        if placed.layout == Layout::Replicated {
            return Ok(Rc::clone(placed));
        }
        let copy = self.temporary_rows(to, node.shape.row_elements() * node.dtype.bytes())?;
        self.rearrange_placed(placed, node, &View::identity(&node.shape), &node.shape, &copy)?;
        Ok(Rc::new(copy))
    }

    fn at_once_or_empty(&mut self, node: &Arc<Node>) -> Result<()> {
        assert_eq!(node.bytes(), 0, "a product without columns is empty");
        self.at_once(node, |_, _| {})
    }
}

/// Room for so many bytes, aligned for every type.
fn room(bytes: usize) -> Vec<u64> {
    vec![0; bytes.div_ceil(8)]
}

fn across_body(
    distribution: &RowDistribution,
    (rank, tile): (Rank, usize),
    dtype: DType,
    [m, n]: [usize; 2],
    [x, y]: [&Rc<Placed>; 2],
    accesses: &mut Accesses,
) -> LeafBody {
    let (x_tile, y_tile) = (x.tile(rank, tile), y.tile(rank, tile));
    let (x_read, y_read) = (accesses.read(x_tile.block), accesses.read(y_tile.block));
    let (x_first, y_first) = (x_tile.rows.start, y_tile.rows.start);
    let distribution = *distribution;
    Box::new(move |context, emit| {
        let (x, y) = (context.read(x_read), context.read(y_read));
        let mut words = vec![0; m * n * fold::unit(Fold::Sum, dtype)];
        for leaf in distribution.leaves_of_tile(rank, tile) {
            let rows = distribution.rows_of_leaves(&(leaf..leaf + 1));
            let of = |first: usize, columns: usize| {
                (rows.start - first) * columns * dtype.bytes()..(rows.end - first) * columns * dtype.bytes()
            };
            let across = Across { elements: &x[of(x_first, m)], row_step: m, column_step: 1 };
            product::across(dtype, rows.len(), m, n, across, &y[of(y_first, n)], &mut words);
            emit(&words);
        }
    })
}

//! Matrix products: rows by a whole matrix, or across the rows of two matrices.

use super::tree::{LeafBody, Words};
use super::{Accesses, Lowering, Placed};
use crate::distribution::{Layout, RowDistribution};
use crate::dtype::DType;
use crate::error::Result;
use crate::expr::{Node, View};
use crate::kernel::fold::{self, Fold};
use crate::kernel::product::{self, Across};
use girih_runtime::ids::Rank;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// Elements of a product across rows from which on its leaves are made longer.
const LARGE_RESULT: usize = 128 * 128;
const LONG_LEAF_ROWS: usize = 256;

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
                for tile in 0..tiles {
                    let rows = distribution.rows_of_tile(rank, tile);
                    lowering.product_tile(rank, (tile, tiles), dtype, [k, n], &rows, [&a, &b, output])?;
                }
            }
            Ok(())
        })
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
        let mut words = vec![0; m * n * fold::unit(dtype)];
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

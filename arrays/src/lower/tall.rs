//! The orthogonal factorisation of a matrix of many rows: triangles of leaves are merged along the canonical tree, and
//! what multiplies each leaf's orthogonal factor comes back the same way.
//!
//! Leaves are longer than those of sums, and as long on every machine; rows near the ends of ranks travel to where
//! their leaf is. All that travels else are triangles, at most two of each level of the tree for a rank.

use super::{Accesses, Lowering, Placed};
use crate::distribution::{Combiner, Layout, RowDistribution, TreeNode};
use crate::dtype::{Complex32, Complex64, DType};
use crate::error::Result;
use crate::expr::{Node, View};
use crate::kernel::dense::field::Field;
use crate::kernel::dense::merge::{Merges, multiply, split};
use girih_runtime::graph::Context;
use girih_runtime::ids::{BlockId, Rank};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// A leaf has so many times as many rows as columns, and at least so many.
const LEAF_COLUMNS: usize = 4;
const LEAF_ROWS_MIN: usize = 256;

/// The arithmetic for one type of elements.
#[derive(Clone, Copy)]
struct Arithmetic {
    n: usize,
    bytes: usize,
    leaves: fn(&Leaves, &Context<'_>),
    up: fn(&Merges, usize, &[u8], &mut [u8], &mut [u8]),
    down: fn(&Merges, usize, &[u8], &[u8], &mut [u8]),
    multiply: fn(usize, &mut [u8], &[u8]),
    one: fn(usize, &mut [u8]),
}

/// The leaves of a tile, by rows, and the accesses of the task that splits them.
struct Leaves {
    n: usize,
    rows: Vec<usize>,
    /// Elements of the matrix before the tile's.
    skipped: usize,
    merges: Merges,
    accesses: [usize; 4],
}

/// The blocks of a tile between the way up and the way down.
struct TileBlocks {
    merges: Merges,
    triangles: BlockId,
    factors: BlockId,
}

impl Lowering<'_> {
    /// Factors `x`, a matrix with more rows than columns, into `q` and `r`.
    pub(crate) fn tall_qr(&mut self, x: &Arc<Node>, q: &Arc<Node>, r: &Arc<Node>) -> Result<()> {
        self.count(&[usize::MAX]);
        let n = x.shape[1];
        let arithmetic = arithmetic(x.dtype, n);
        let natural = self.distribution(x.shape.rows());
        let leaf_rows = (LEAF_COLUMNS * n).next_power_of_two().max(LEAF_ROWS_MIN).max(natural.leaf_rows());
        let placed = self.placed(x);
        let (distribution, placed, target) = if leaf_rows == natural.leaf_rows() && q.layout == Layout::Rows {
            (natural, placed, self.output(q)?)
        } else {
            let distribution = natural.with_leaf_rows(leaf_rows);
            let placed = self.cut_anew(&placed, x, &distribution)?;
            let target = self.temporary_rows(&distribution, n * x.dtype.bytes())?;
            (distribution, placed, Rc::new(target))
        };
        let triangle = self.factor_rows(&distribution, arithmetic, &placed, &target)?;
        if !self.placed.contains_key(&Arc::as_ptr(q)) {
            let output = self.output(q)?;
            self.rearrange_placed(&target, q, &View::identity(&q.shape), &q.shape, &output)?;
        }
        let output = self.output(r)?;
        self.rearrange_placed(&Rc::new(triangle), r, &View::identity(&r.shape), &r.shape, &output)
    }

    fn factor_rows(
        &mut self,
        distribution: &RowDistribution,
        arithmetic: Arithmetic,
        x: &Rc<Placed>,
        q: &Rc<Placed>,
    ) -> Result<Placed> {
        let size = arithmetic.n * arithmetic.n * arithmetic.bytes;
        let (mut tiles, mut parts, mut rank_merges, mut nodes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for rank in self.ranks() {
            let mut of_rank = Vec::new();
            for tile in 0..distribution.tiles_of(rank) {
                of_rank.push(self.split_tile(distribution, arithmetic, (rank, tile), x, q)?);
            }
            let inner = distribution.tree().nodes(&distribution.leaves_of(rank));
            let held: Vec<TreeNode> = (0..of_rank.len())
                .flat_map(|tile| distribution.tree().nodes(&distribution.leaves_of_tile(rank, tile)))
                .collect();
            let part = self.graph().block(rank, inner.len() * size)?;
            let merges = merges(distribution, arithmetic.n, &held);
            let factors = self.graph().block(rank, merges.pairs.len() * 2 * size)?;
            self.merge_rank(rank, arithmetic, &of_rank, &merges, [part, factors])?;
            nodes.push(inner);
            parts.push(part);
            rank_merges.push((merges, factors));
            tiles.push(of_rank);
        }
        let wholes = self.gather_parts(&parts, nodes.iter().map(Vec::len).sum::<usize>() * size)?;
        let all: Vec<TreeNode> = nodes.iter().flatten().copied().collect();
        let top = Arc::new(merges(distribution, arithmetic.n, &all));
        let triangle = self.temporary_whole(arithmetic.n, size)?;
        let mut first = 0;
        for (index, rank) in self.ranks().enumerate() {
            let count = nodes[index].len();
            let above = self.graph().block(rank, count * size)?;
            let root = triangle.tile(rank, 0).block;
            self.merge_top(rank, arithmetic, &top, first..first + count, [wholes[index], root, above])?;
            self.come_down(distribution, rank, arithmetic, &rank_merges[index], above, &tiles[index], q)?;
            first += count;
        }
        Ok(triangle)
    }

    /// Splits a tile's leaves and merges their triangles as far as they reach.
    fn split_tile(
        &mut self,
        distribution: &RowDistribution,
        arithmetic: Arithmetic,
        (rank, tile): (Rank, usize),
        x: &Placed,
        q: &Placed,
    ) -> Result<TileBlocks> {
        let Arithmetic { n, bytes, leaves, .. } = arithmetic;
        let range = distribution.leaves_of_tile(rank, tile);
        let held: Vec<TreeNode> = range.clone().map(|index| TreeNode { level: 0, index }).collect();
        let merges = merges(distribution, n, &held);
        let size = n * n * bytes;
        let triangles = self.graph().block(rank, merges.outputs.len() * size)?;
        let factors = self.graph().block(rank, merges.pairs.len() * 2 * size)?;
        let source = x.tile(rank, tile);
        let first = distribution.rows_of_tile(rank, tile).start;
        let mut accesses = Accesses::default();
        let read = accesses.read(source.block);
        let writes = [q.tile(rank, tile).block, triangles, factors].map(|block| accesses.write(block));
        let task = Leaves {
            n,
            rows: range.map(|leaf| distribution.rows_of_leaves(&(leaf..leaf + 1)).len()).collect(),
            skipped: (first - source.rows.start) * n,
            merges: merges.clone(),
            accesses: [read, writes[0], writes[1], writes[2]],
        };
        let domain = self.domain(rank, tile, distribution.tiles_of(rank));
        self.graph().task("split rows", rank, domain, &accesses.list, || {
            Box::new(move |context| {
                leaves(&task, context);
                Ok(())
            })
        })?;
        Ok(TileBlocks { merges, triangles, factors })
    }

    /// Merges the triangles of a rank's tiles.
    fn merge_rank(
        &mut self,
        rank: Rank,
        arithmetic: Arithmetic,
        tiles: &[TileBlocks],
        merges: &Merges,
        [part, factors]: [BlockId; 2],
    ) -> Result<()> {
        if tiles.is_empty() {
            return Ok(());
        }
        let mut accesses = Accesses::default();
        let reads: Vec<usize> = tiles.iter().map(|tile| accesses.read(tile.triangles)).collect();
        let (results, slots) = (accesses.write(part), accesses.write(factors));
        let merges = merges.clone();
        self.graph().task("merge triangles", rank, 0, &accesses.list, || {
            Box::new(move |context| {
                let triangles: Vec<u8> = reads.iter().flat_map(|&read| context.read(read).to_vec()).collect();
                let (mut results, mut slots) = (context.write(results), context.write(slots));
                (arithmetic.up)(&merges, arithmetic.n, &triangles, &mut results, &mut slots);
                Ok(())
            })
        })?;
        Ok(())
    }

    /// Every rank's triangles, on all ranks.
    fn gather_parts(&mut self, parts: &[BlockId], bytes: usize) -> Result<Vec<BlockId>> {
        if self.world.size() == 1 {
            return Ok(parts.to_vec());
        }
        let mut wholes = Vec::with_capacity(parts.len());
        for rank in self.ranks() {
            wholes.push(self.graph().block(rank, bytes)?);
        }
        self.graph().all_gather(parts, &wholes);
        Ok(wholes)
    }

    /// Finishes the tree on a rank: the triangle, and what multiplies the factors of the rank's own nodes.
    fn merge_top(
        &mut self,
        rank: Rank,
        arithmetic: Arithmetic,
        merges: &Arc<Merges>,
        own: std::ops::Range<usize>,
        [whole, root, above]: [BlockId; 3],
    ) -> Result<()> {
        let mut accesses = Accesses::default();
        let (whole, root, above) = (accesses.read(whole), accesses.write(root), accesses.write(above));
        let (merges, Arithmetic { n, bytes, up, down, one, .. }) = (Arc::clone(merges), arithmetic);
        self.graph().task("merge triangles", rank, 0, &accesses.list, || {
            Box::new(move |context| {
                let size = n * n * bytes;
                let mut factors = context_room(merges.pairs.len() * 2 * size);
                up(&merges, n, &context.read(whole), &mut context.write(root), &mut factors);
                let mut unit = context_room(size);
                one(n, &mut unit);
                let mut all = context_room(merges.inputs * size);
                down(&merges, n, &unit, &factors, &mut all);
                context.write(above).copy_from_slice(&all[own.start * size..own.end * size]);
                Ok(())
            })
        })?;
        Ok(())
    }

    /// Multiplies the orthogonal factors of a rank's leaves.
    #[expect(clippy::too_many_arguments, reason = "the blocks of a rank, and how rows lie there")]
    fn come_down(
        &mut self,
        distribution: &RowDistribution,
        rank: Rank,
        arithmetic: Arithmetic,
        (merges, factors): &(Merges, BlockId),
        above: BlockId,
        tiles: &[TileBlocks],
        q: &Placed,
    ) -> Result<()> {
        let Arithmetic { n, bytes, down, multiply, .. } = arithmetic;
        let size = n * n * bytes;
        let below = self.graph().block(rank, merges.inputs * size)?;
        let mut accesses = Accesses::default();
        let (from, slots, to) = (accesses.read(above), accesses.read(*factors), accesses.write(below));
        let merges = merges.clone();
        self.graph().task("come down", rank, 0, &accesses.list, || {
            Box::new(move |context| {
                down(&merges, n, &context.read(from), &context.read(slots), &mut context.write(to));
                Ok(())
            })
        })?;
        let mut first = 0;
        for (index, tile) in tiles.iter().enumerate() {
            let mut accesses = Accesses::default();
            let (from, slots) = (accesses.read(below), accesses.read(tile.factors));
            let target = accesses.write(q.tile(rank, index).block);
            let merges = tile.merges.clone();
            let own = first * size..(first + merges.outputs.len()) * size;
            first += merges.outputs.len();
            let leaves = distribution.leaves_of_tile(rank, index);
            let rows: Vec<usize> = leaves.map(|leaf| distribution.rows_of_leaves(&(leaf..leaf + 1)).len()).collect();
            let domain = self.domain(rank, index, tiles.len());
            self.graph().task("come down", rank, domain, &accesses.list, || {
                Box::new(move |context| {
                    let mut multipliers = context_room(merges.inputs * size);
                    down(&merges, n, &context.read(from)[own.clone()], &context.read(slots), &mut multipliers);
                    let mut out = context.write(target);
                    let mut rest = &mut out[..];
                    for (leaf, &rows) in rows.iter().enumerate() {
                        let (front, back) = rest.split_at_mut(rows * n * bytes);
                        multiply(n, front, &multipliers[leaf * size..(leaf + 1) * size]);
                        rest = back;
                    }
                    Ok(())
                })
            })?;
        }
        Ok(())
    }
}

/// Room for elements of any type, aligned as the widest.
fn context_room(bytes: usize) -> Vec<u8> {
    vec![0; bytes]
}

/// The merges of a run of nodes of the tree.
fn merges(distribution: &RowDistribution, n: usize, nodes: &[TreeNode]) -> Merges {
    let (inputs, pairs) = (nodes.len(), RefCell::new(Vec::new()));
    let mut combiner = Combiner::new(distribution.tree(), |left: &mut usize, right: usize| {
        let mut pairs = pairs.borrow_mut();
        pairs.push((*left, right));
        *left = inputs + pairs.len() - 1;
    });
    for (index, node) in nodes.iter().enumerate() {
        combiner.push(*node, index);
    }
    let outputs = combiner.into_nodes().into_iter().map(|(_, value)| value).collect();
    let rows = nodes.iter().map(|node| {
        let leaves = node.index << node.level..((node.index + 1) << node.level).min(distribution.leaves());
        distribution.rows_of_leaves(&leaves).len().min(n)
    });
    Merges { inputs, pairs: pairs.into_inner(), outputs, rows: rows.collect() }
}

fn arithmetic(dtype: DType, n: usize) -> Arithmetic {
    match dtype {
        DType::Float32 => arithmetic_of::<f32>(n),
        DType::Complex64 => arithmetic_of::<Complex32>(n),
        DType::Complex128 => arithmetic_of::<Complex64>(n),
        _ => arithmetic_of::<f64>(n),
    }
}

fn arithmetic_of<T: Field>(n: usize) -> Arithmetic {
    use bytemuck::{cast_slice, cast_slice_mut};
    Arithmetic {
        n,
        bytes: size_of::<T>(),
        leaves: |leaves, context| {
            let [x, q, triangles, factors] = leaves.accesses;
            let (n, x) = (leaves.n, context.read(x));
            let mut rest = &x.of::<T>()[leaves.skipped..];
            let mut q = context.write(q);
            let mut q_rest = q.of_mut::<T>();
            let mut found = vec![T::of(0.0, 0.0); leaves.rows.len() * n * n];
            for (&rows, triangle) in leaves.rows.iter().zip(found.chunks_mut(n * n)) {
                let (front, back) = rest.split_at(rows * n);
                let (q_front, q_back) = q_rest.split_at_mut(rows * n);
                split(n, front, q_front, triangle);
                (rest, q_rest) = (back, q_back);
            }
            let (mut triangles, mut factors) = (context.write(triangles), context.write(factors));
            leaves.merges.up(n, &found, triangles.of_mut(), factors.of_mut());
        },
        up: |merges, n, triangles, results, factors| {
            let triangles = aligned::<T>(triangles);
            let (mut top, mut slots) = (aligned::<T>(results), aligned::<T>(factors));
            merges.up(n, &triangles, &mut top, &mut slots);
            results.copy_from_slice(cast_slice(&top));
            factors.copy_from_slice(cast_slice(&slots));
        },
        down: |merges, n, above, factors, below| {
            let (above, factors, mut found) = (aligned::<T>(above), aligned::<T>(factors), aligned::<T>(below));
            merges.down(n, &above, &factors, &mut found);
            below.copy_from_slice(cast_slice(&found));
        },
        multiply: |n, q, multiplier| multiply(n, cast_slice_mut::<u8, T>(q), &aligned::<T>(multiplier)),
        one: |n, out| {
            let one: Vec<T> = (0..n * n).map(|at| T::of(f64::from(u8::from(at / n == at % n)), 0.0)).collect();
            out.copy_from_slice(cast_slice(&one));
        },
    }
}

/// A copy of elements whose bytes may lie anywhere; small, for it is of triangles.
fn aligned<T: Field>(bytes: &[u8]) -> Vec<T> {
    let mut elements = vec![T::of(0.0, 0.0); bytes.len() / size_of::<T>()];
    bytemuck::cast_slice_mut(&mut elements).copy_from_slice(bytes);
    elements
}

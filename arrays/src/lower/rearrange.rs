//! Elements that change their place: slices, transposes, reshapes, joins, assignments, rows gathered on every rank.
//!
//! For each tile of the result, the elements that one rank holds form a box. A box from the same rank is
//! copied from its tiles; any other is packed there by a task, travels as a message, and is unpacked.
//! Only elements that the result has are sent.

use super::walk::{Bounds, Walk};
use super::{Accesses, Lowering, MOVE_EFFORT, Placed};
use crate::distribution::Layout;
use crate::error::Result;
use crate::expr::{Node, Piece, View};
use crate::kernel::copy::{Copying, copy};
use crate::shape::Shape;
use crate::tile::Part;
use girih_runtime::ids::{BlockId, Rank};
use std::rc::Rc;
use std::sync::Arc;

/// A copy from the block of one access.
type Move = (usize, Copying);

/// What lies on ranks, and how it is walked.
pub(super) struct Moved {
    pub(super) source: Rc<Placed>,
    pub(super) walk: Walk,
}

impl Lowering<'_> {
    pub(super) fn rearrange(&mut self, node: &Arc<Node>, input: &Arc<Node>, view: &View) -> Result<()> {
        if node.layout == Layout::Replicated
            && let Some(part) = self.whole_now(input)
        {
            let walk = Walk::of_view(node.dtype.bytes(), view, &input.shape, &node.shape);
            let source = part.tiles()[0].cell.read();
            return self.at_once(node, |out, _| copy(walk.item, &walk.copying(&walk.everything(), 0, 0), &source, out));
        }
        let (source, output) = (self.placed(input), self.output(node)?);
        self.rearrange_placed(&source, input, view, &node.shape, &output)
    }

    /// Boxes of other arrays, the later ones over the earlier.
    pub(super) fn join(&mut self, node: &Arc<Node>, pieces: &[Piece]) -> Result<()> {
        let inputs: Vec<Arc<Node>> = pieces.iter().map(|piece| Arc::clone(&piece.input)).collect();
        if node.layout == Layout::Replicated && self.all_whole_now(&inputs).is_some() {
            return self.at_once(node, |out, _| write_whole(pieces, &node.shape, out));
        }
        let output = self.output(node)?;
        self.join_placed(pieces, &node.shape, &output)
    }

    /// Writes boxes over an array whose value is `part`: into its own memory where nobody else holds that, else
    /// into `copied`, to which this rank first copies what it has.
    pub(crate) fn assign(
        &mut self,
        node: &Arc<Node>,
        pieces: &[Piece],
        part: Part,
        copied: Option<Part>,
    ) -> Result<()> {
        let written: usize = pieces.iter().map(|piece| piece.lengths.iter().product::<usize>()).sum();
        self.count(&[written, MOVE_EFFORT]);
        let Some(copied) = copied else {
            let output = self.bind_output(node, part);
            return self.join_placed(pieces, &node.shape, &output);
        };
        self.count(&[node.shape.elements(), MOVE_EFFORT]);
        let base = self.bind(node, &part);
        let output = self.bind_output(node, copied);
        let rank = self.world.rank();
        let tiles = base.tiles[rank.index()].len();
        for tile in 0..tiles {
            let (from, to) = (base.tile(rank, tile).block, output.tile(rank, tile).block);
            let mut accesses = Accesses::default();
            let length = part.tiles()[tile].cell.bytes();
            let moves = vec![(accesses.read(from), Copying::straight(length))];
            self.copy_task("copy", rank, (tile, tiles), accesses, (1, moves), to)?;
        }
        self.join_placed(pieces, &node.shape, &output)
    }

    /// Fills the blocks of `output` with a view of `input`, which lies in `source`.
    pub(super) fn rearrange_placed(
        &mut self,
        source: &Rc<Placed>,
        input: &Node,
        view: &View,
        shape: &Shape,
        output: &Placed,
    ) -> Result<()> {
        let walk = Walk::of_view(input.dtype.bytes(), view, &input.shape, shape);
        self.move_all(vec![Moved { source: Rc::clone(source), walk }], output)
    }

    fn join_placed(&mut self, pieces: &[Piece], shape: &Shape, output: &Placed) -> Result<()> {
        let moved = pieces.iter().map(|piece| Moved { source: self.placed(&piece.input), walk: walk(piece, shape) });
        let moved = moved.collect();
        self.move_all(moved, output)
    }

    pub(super) fn move_all(&mut self, mut moved: Vec<Moved>, output: &Placed) -> Result<()> {
        moved.retain(|moved| !moved.walk.everything().iter().any(std::ops::Range::is_empty));
        if output.layout == Layout::Replicated && moved.iter().any(|moved| moved.source.layout == Layout::Rows) {
            // One after the other, for a later box may lie over an earlier one.
            for moved in &moved {
                match moved.source.layout {
                    Layout::Rows => self.gather_box(moved, output)?,
                    Layout::Replicated => self.move_tiles(std::slice::from_ref(moved), output)?,
                }
            }
            return Ok(());
        }
        self.move_tiles(&moved, output)
    }

    fn move_tiles(&mut self, moved: &[Moved], output: &Placed) -> Result<()> {
        for rank in self.ranks() {
            for tile in 0..output.tiles[rank.index()].len() {
                self.move_tile(moved, output, rank, tile)?;
            }
        }
        Ok(())
    }

    /// One tile of the result, from wherever its elements are.
    fn move_tile(&mut self, moved: &[Moved], output: &Placed, rank: Rank, tile: usize) -> Result<()> {
        let tiles = output.tiles[rank.index()].len();
        let target = output.tile(rank, tile);
        let first = target.rows.start;
        let mut accesses = Accesses::default();
        let mut moves: Vec<Move> = Vec::new();
        for Moved { source, walk } in moved {
            let Some(bounds) = walk.to.held(&walk.everything(), &target.rows) else { continue };
            let replicated = source.layout == Layout::Replicated;
            let holders = if replicated { rank.index()..rank.index() + 1 } else { 0..self.world.size() };
            for holder in holders.map(Rank::from) {
                if holder == rank {
                    for tile in &source.tiles[rank.index()] {
                        if let Some(held) = walk.from.held(&bounds, &tile.rows) {
                            moves.push((accesses.read(tile.block), walk.copying(&held, tile.rows.start, first)));
                        }
                    }
                } else if let Some((packed, held)) = self.pack(source, walk, holder, &bounds)? {
                    moves.push((accesses.read(packed), walk.unpacking(&held, 0, first)));
                }
            }
        }
        let Some(item) = moved.first().map(|moved| moved.walk.item).filter(|_| !moves.is_empty()) else {
            return Ok(());
        };
        self.copy_task("copy", rank, (tile, tiles), accesses, (item, moves), target.block)
    }

    /// Packs what `holder` has of a box; the block and the part of the box that is in it.
    fn pack(
        &mut self,
        source: &Placed,
        walk: &Walk,
        holder: Rank,
        bounds: &Bounds,
    ) -> Result<Option<(BlockId, Bounds)>> {
        let tiles = &source.tiles[holder.index()];
        let (Some(first), Some(last)) = (tiles.first(), tiles.last()) else { return Ok(None) };
        let Some(whole) = walk.from.held(bounds, &(first.rows.start..last.rows.end)) else { return Ok(None) };
        let block = self.graph().block(holder, walk.bytes(&whole))?;
        let (mut accesses, mut moves) = (Accesses::default(), Vec::new());
        for tile in tiles {
            if let Some(held) = walk.from.held(&whole, &tile.rows) {
                moves.push((accesses.read(tile.block), walk.packing(&held, tile.rows.start, &whole)));
            }
        }
        self.copy_task("pack", holder, (0, 1), accesses, (walk.item, moves), block)?;
        Ok(Some((block, whole)))
    }

    /// A box whose source is spread, on every rank: each packs what it has, and all gather.
    fn gather_box(&mut self, Moved { source, walk }: &Moved, output: &Placed) -> Result<()> {
        let everything = walk.everything();
        let (mut parts, mut boxes, mut total) = (Vec::new(), Vec::new(), 0);
        for rank in self.ranks() {
            let packed = self.pack(source, walk, rank, &everything)?;
            let bytes = packed.as_ref().map_or(0, |(_, held)| walk.bytes(held));
            let (block, held) = match packed {
                Some((block, held)) => (block, Some(held)),
                None => (self.graph().block(rank, 0)?, None),
            };
            parts.push(block);
            boxes.push((held, total));
            total += bytes;
        }
        let outputs: Vec<BlockId> = output.tiles.iter().map(|tiles| tiles[0].block).collect();
        if walk.is_in_order() && total == output.bytes {
            self.graph().all_gather(&parts, &outputs);
            return Ok(());
        }
        let mut wholes = Vec::with_capacity(self.world.size());
        for rank in self.ranks() {
            wholes.push(self.graph().block(rank, total)?);
        }
        self.graph().all_gather(&parts, &wholes);
        for rank in self.ranks() {
            let mut accesses = Accesses::default();
            let whole = accesses.read(wholes[rank.index()]);
            let unpack = |(held, start): &(Option<Bounds>, usize)| {
                let held = held.as_ref()?;
                Some((whole, walk.unpacking(held, start / walk.item, 0)))
            };
            let moves = boxes.iter().filter_map(unpack).collect();
            self.copy_task("unpack", rank, (0, 1), accesses, (walk.item, moves), outputs[rank.index()])?;
        }
        Ok(())
    }

    pub(super) fn copy_task(
        &mut self,
        label: &'static str,
        rank: Rank,
        (tile, tiles): (usize, usize),
        mut accesses: Accesses,
        (item, moves): (usize, Vec<Move>),
        target: BlockId,
    ) -> Result<()> {
        let target = accesses.write(target);
        let domain = self.domain(rank, tile, tiles);
        self.graph().task(label, rank, domain, &accesses.list, || {
            Box::new(move |context| {
                let mut out = context.write(target);
                for (access, copying) in &moves {
                    copy(item, copying, &context.read(*access), &mut out);
                }
                Ok(())
            })
        })?;
        Ok(())
    }
}

/// Writes boxes whose sources are there on every rank over a whole array.
pub(crate) fn write_whole(pieces: &[Piece], shape: &Shape, out: &mut [u8]) {
    for piece in pieces {
        let (walk, part) = (walk(piece, shape), piece.input.part().expect("the source of a box has a value"));
        copy(walk.item, &walk.copying(&walk.everything(), 0, 0), &part.tiles()[0].cell.read(), out);
    }
}

fn walk(piece: &Piece, shape: &Shape) -> Walk {
    let item = piece.input.dtype.bytes();
    Walk::new(item, &piece.lengths, (&piece.from, &piece.input.shape), (&piece.to, shape))
}

//! Boxes picked from where they are and brought to the rows of a result.
//!
//! If all ranks know all places, each rank sends what others want without being asked: one exchange of data. Else
//! there is one exchange of places before it. Elements that are here already do not travel.

use super::held::{Block, Held};
use super::offsets::Offsets;
use super::{Boxes, node_of, offsets};
use crate::array::{Array, room};
use crate::distribution::{Layout, RowDistribution};
use crate::error::Result;
use crate::exchange::{agreed, exchange, on_workers};
use crate::shape::Shape;
use crate::tile::Part;
use girih_runtime::ids::Rank;
use std::ops::Range;
use std::sync::Arc;

/// The result in its natural order. Collective.
pub(super) fn pick(view: &Array, boxes: &Boxes) -> Result<Array> {
    let (world, dtype) = (view.world(), view.dtype());
    let source = view.part()?;
    if boxes.natural.elements() == 0 {
        return Array::zeros(world, &boxes.natural, dtype);
    }
    if !boxes.across_rows {
        return pick_in_rows(view, boxes, &source);
    }
    let layout = Layout::of(&boxes.natural, dtype);
    if view.layout() == Layout::Rows && world.size() > 1 {
        return match layout {
            Layout::Replicated => pick_for_all(view, boxes, &source),
            Layout::Rows => pick_for_rows(view, boxes, &source),
        };
    }
    let part = agreed_room(view, &boxes.natural)?;
    let per_row = boxes.places_in_row();
    // A large list of places may pick a small result, which is whole on every rank.
    let (all, first) = match &boxes.offsets {
        Offsets::Rows { mine, .. } if layout == Layout::Rows => {
            (Arc::clone(mine), part.tiles().first().map_or(0, |tile| tile.rows.start))
        }
        offsets => (offsets.whole()?, 0),
    };
    let (held, block) = (Held::reading(&source, row_elements(view)), boxes.block.clone());
    let tiles = part.tiles().to_vec();
    on_workers(world, "pick", tiles.len(), move |index| {
        let tile = &tiles[index];
        let places = (tile.rows.start - first) * per_row..(tile.rows.end - first) * per_row;
        held.pick(&block, all[places].iter().copied(), &mut tile.cell.write());
    })?;
    Ok(Array::ready(world, boxes.natural.clone(), dtype, part))
}

fn row_elements(view: &Array) -> usize {
    view.shape().iter().skip(1).product()
}

/// Room for a result, on all ranks or none.
fn agreed_room(view: &Array, shape: &Shape) -> Result<Part> {
    let part = room(view.world(), shape, view.dtype());
    if Layout::of(shape, view.dtype()) == Layout::Replicated { part } else { agreed(view.world(), part) }
}

/// Each row of the result is picked from the same row of the view.
fn pick_in_rows(view: &Array, boxes: &Boxes, source: &Arc<Part>) -> Result<Array> {
    let (world, dtype) = (view.world(), view.dtype());
    let all = boxes.offsets.whole()?;
    let (width, block) = (row_elements(view), boxes.block.clone());
    let row_bytes = all.len() * block.bytes();
    let rows_of = move |held: &Held<_>, rows: Range<usize>, all: &[i64], block: &Block, out: &mut [u8]| {
        for (row, out) in rows.zip(out.chunks_exact_mut(row_bytes)) {
            held.pick(block, all.iter().map(|at| at + (row * width) as i64), out);
        }
    };
    if Layout::of(&boxes.natural, dtype) == Layout::Replicated && view.layout() == Layout::Rows {
        let rows = view.local_rows();
        let mut bytes = vec![0; rows.len() * row_bytes];
        rows_of(&Held::reading(source, width), rows.clone(), &all, &block, &mut bytes);
        let lengths = [&[rows.len()], &boxes.natural[1..]].concat();
        return Array::from_local(world, &lengths, dtype, &bytes);
    }
    let part = agreed_room(view, &boxes.natural)?;
    let (held, tiles) = (Held::reading(source, width), part.tiles().to_vec());
    on_workers(world, "pick", tiles.len(), move |index| {
        rows_of(&held, tiles[index].rows.clone(), &all, &block, &mut tiles[index].cell.write());
    })?;
    Ok(Array::ready(world, boxes.natural.clone(), dtype, part))
}

/// A small result: every rank gives the boxes that it has, and all ranks get all.
fn pick_for_all(view: &Array, boxes: &Boxes, source: &Part) -> Result<Array> {
    let (world, width) = (view.world(), row_elements(view));
    let all = boxes.offsets.whole()?;
    let distribution = view.distribution();
    let owner = |at: i64| distribution.owner(at as usize / width).index();
    let mine: Vec<i64> = all.iter().copied().filter(|&at| owner(at) == world.rank().index()).collect();
    let mut bytes = vec![0; mine.len() * boxes.block.bytes()];
    Held::reading(source, width).pick(&boxes.block, mine.into_iter(), &mut bytes);
    let arrived = world.all_gather_bytes(bytes)?;
    let part = room(world, &boxes.natural, view.dtype())?;
    deal(&boxes.block, all.iter().map(|&at| owner(at)), &arrived, &mut part.tiles()[0].cell.write());
    Ok(Array::ready(world, boxes.natural.clone(), view.dtype(), part))
}

/// A large result: each rank gets the boxes of its rows.
fn pick_for_rows(view: &Array, boxes: &Boxes, source: &Part) -> Result<Array> {
    let (world, width, per_row) = (view.world(), row_elements(view), boxes.places_in_row());
    let part = room(world, &boxes.natural, view.dtype());
    let result = RowDistribution::new(boxes.natural[0], world.size(), world.config().tile_bytes);
    let places_of = |rank: usize| {
        let rows = result.rows_of(Rank::from(rank));
        rows.start * per_row..rows.end * per_row
    };
    let distribution = view.distribution();
    let owner = |at: i64| distribution.owner(at as usize / width).index();
    let (me, ranks) = (world.rank().index(), 0..world.size());
    let mine = boxes.offsets.run(places_of(me));
    let wanted: Vec<Vec<i64>> = match &boxes.offsets {
        Offsets::Whole(all) => {
            let of = |rank| all[places_of(rank)].iter().copied().filter(|&at| owner(at) == me).collect();
            ranks.map(of).collect()
        }
        Offsets::Rows { .. } => {
            let mut asked = vec![Vec::new(); world.size()];
            for &at in mine {
                asked[owner(at)].extend_from_slice(&at.to_le_bytes());
            }
            let asked = exchange(world, Ok(asked))?;
            asked.iter().map(|bytes| offsets::cast_elements(bytes)).collect()
        }
    };
    let held = Held::reading(source, width);
    let parcels = wanted.into_iter().map(|wanted| {
        let mut bytes = vec![0; wanted.len() * boxes.block.bytes()];
        held.pick(&boxes.block, wanted.into_iter(), &mut bytes);
        bytes
    });
    let parcels = parcels.collect();
    let arrived = exchange(world, part.as_ref().map(|_| parcels).map_err(Clone::clone))?;
    let part = part?;
    let mut bytes = vec![0; part.bytes()];
    deal(&boxes.block, mine.iter().map(|&at| owner(at)), &arrived, &mut bytes);
    part.fill(&bytes);
    Ok(Array::ready(world, boxes.natural.clone(), view.dtype(), part))
}

/// Boxes in the order of places, from those of each rank in the same order.
fn deal(block: &Block, owners: impl Iterator<Item = usize>, arrived: &[Vec<u8>], out: &mut [u8]) {
    let bytes = block.bytes();
    let mut next = vec![0; arrived.len()];
    for (owner, out) in owners.zip(out.chunks_exact_mut(bytes)) {
        out.copy_from_slice(&arrived[owner][next[owner]..next[owner] + bytes]);
        next[owner] += bytes;
    }
}

/// This rank's part of an array's rows; of a whole array, those that it would have.
pub(super) fn rows_here(array: &Array, rows: &Range<usize>) -> Result<Vec<u8>> {
    let part = node_of(array).part().expect("an array whose value is there");
    let bytes = part.to_bytes();
    if array.layout() == Layout::Rows {
        return Ok(bytes);
    }
    let row_bytes = row_elements(array) * array.dtype().bytes();
    Ok(bytes[rows.start * row_bytes..rows.end * row_bytes].to_vec())
}

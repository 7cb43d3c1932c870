//! Boxes placed where they belong; of two for the same place the later one stays.
//!
//! Values lie by rows of places. They travel with their places to the rank that holds the rows, which writes them in
//! the order of ranks, and so in the order of places. What all ranks have, each writes for itself.

use super::Boxes;
use super::held::{Block, Held};
use super::offsets::cast_elements;
use crate::array::Array;
use crate::distribution::{Layout, RowDistribution};
use crate::error::{Error, Result};
use crate::evaluate::value as value_of;
use crate::exchange::{agreed, exchange};
use crate::expr::Node;
use crate::tile::Part;
use girih_runtime::world::World;
use std::collections::HashMap;
use std::sync::Arc;

/// The array with values at the places of the boxes; `values` lie in natural order. Collective.
pub(super) fn place(world: &World, base: &Arc<Node>, boxes: &Boxes, values: &Array) -> Result<Arc<Node>> {
    let part = value_of(world, base)?;
    if boxes.natural.elements() == 0 {
        return Ok(Arc::clone(base));
    }
    // In place where nobody else can see it.
    let alone = Arc::strong_count(base) == 1 && Arc::strong_count(&part) == 2;
    let target = if alone { Ok(Part::clone(&part)) } else { copied(world, &part) };
    let target = if base.layout == Layout::Rows { agreed(world, target)? } else { target? };
    drop(part);
    if boxes.across_rows {
        place_across(world, base, boxes, values, &target)?;
    } else {
        place_in_rows(base, boxes, values, &target)?;
    }
    Ok(Node::ready(base.shape.clone(), base.dtype, target))
}

fn copied(world: &World, part: &Part) -> Result<Part> {
    let copy = part.alike(world.memory())?;
    for (from, to) in part.tiles().iter().zip(copy.tiles()) {
        to.cell.write().copy_from_slice(&from.cell.read());
    }
    Ok(copy)
}

/// Each row of values goes to the same row of the array.
fn place_in_rows(base: &Node, boxes: &Boxes, values: &Array, target: &Part) -> Result<()> {
    let all = boxes.offsets.whole()?;
    let (width, row_bytes) = (base.shape.row_elements(), all.len() * boxes.block.bytes());
    let whole = base.layout == Layout::Replicated && values.layout() == Layout::Rows;
    let values = if whole { values.gather()? } else { values.clone() };
    let rows =
        target.tiles().first().map_or(0, |tile| tile.rows.start)..target.tiles().last().map_or(0, |tile| tile.rows.end);
    let bytes = super::gather::rows_here(&values, &rows)?;
    let mut held = Held::writing(target, width);
    for (row, boxes_of_row) in rows.zip(bytes.chunks_exact(row_bytes)) {
        held.place(&boxes.block, all.iter().map(|at| at + (row * width) as i64), boxes_of_row);
    }
    Ok(())
}

fn place_across(world: &World, base: &Node, boxes: &Boxes, values: &Array, target: &Part) -> Result<()> {
    let (width, block, me) = (base.shape.row_elements(), &boxes.block, world.rank().index());
    let spread = base.layout == Layout::Rows && world.size() > 1;
    let distribution = RowDistribution::new(base.shape.rows(), world.size(), world.config().tile_bytes);
    let owner = |at: i64| distribution.owner(at as usize / width).index();
    if values.layout() == Layout::Replicated || world.size() == 1 {
        let all = boxes.offsets.whole()?;
        let bytes = values.part()?.to_bytes();
        let mut held = Held::writing(target, width);
        if !spread {
            held.place(block, all.iter().copied(), &bytes);
            return Ok(());
        }
        for (&at, value) in all.iter().zip(bytes.chunks_exact(block.bytes())).filter(|(at, _)| owner(**at) == me) {
            held.place(block, std::iter::once(at), value);
        }
        return Ok(());
    }
    let rows = values.local_rows();
    let per_row = boxes.places_in_row();
    let mine = boxes.offsets.run(rows.start * per_row..rows.end * per_row);
    let bytes = values.part()?.to_bytes();
    let arrived = if spread {
        let mut at_owner = vec![(Vec::new(), Vec::new()); world.size()];
        for (&at, value) in mine.iter().zip(bytes.chunks_exact(block.bytes())) {
            let (places, data): &mut (Vec<u8>, Vec<u8>) = &mut at_owner[owner(at)];
            places.extend_from_slice(&at.to_le_bytes());
            data.extend_from_slice(value);
        }
        exchange(world, Ok(at_owner.into_iter().map(|(places, data)| [places, data].concat()).collect()))?
    } else {
        world.all_gather_bytes(last_of_each(mine, &bytes, block)).map_err(Error::from)?
    };
    let mut held = Held::writing(target, width);
    for parcel in arrived {
        let (places, data) = parcel.split_at(parcel.len() / (8 + block.bytes()) * 8);
        held.place(block, cast_elements(places).into_iter(), data);
    }
    Ok(())
}

/// Places and values that later ones do not replace.
fn last_of_each(places: &[i64], values: &[u8], block: &Block) -> Vec<u8> {
    let mut last: HashMap<i64, usize> = HashMap::new();
    for (number, &at) in places.iter().enumerate() {
        last.insert(at, number);
    }
    let mut numbers: Vec<usize> = last.into_values().collect();
    numbers.sort_unstable();
    let kept_places = numbers.iter().flat_map(|&number| places[number].to_le_bytes());
    let mut kept: Vec<u8> = kept_places.collect();
    for number in numbers {
        kept.extend_from_slice(&values[number * block.bytes()..(number + 1) * block.bytes()]);
    }
    kept
}

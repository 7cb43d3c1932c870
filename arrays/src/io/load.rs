//! Reads `.npy` files: each rank the bytes of its own rows.

use super::header::{self, Layout};
use super::{Trouble, Troubles, agree};
use crate::array::{Array, room};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::kernel::copy::{Copying, copy};
use crate::shape::Shape;
use crate::tile::Part;
use girih_runtime::graph::Access;
use girih_runtime::ids::Rank;
use girih_runtime::world::World;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

pub(super) fn load(world: &World, path: &Path) -> Result<Array> {
    let layout = inspect(world, path)?;
    let (shape, dtype) = (layout.shape.clone(), layout.dtype);
    // A rank without memory for its part must not leave the others waiting.
    let part = room(world, &shape, dtype);
    world.agree(part.as_ref().map(drop).map_err(Error::to_string))?;
    let part = part?;
    let trouble = match File::open(path) {
        Ok(file) => {
            let read = read_part(world, &Arc::new(file), &Arc::new(layout), &part);
            read.unwrap_or_else(|error| Some(Trouble::local(&error)))
        }
        Err(error) => Some(error.into()),
    };
    agree(world, path, trouble)?;
    Ok(Array::ready(world, shape, dtype, part))
}

/// Rank 0 reads the header; all ranks learn what it says.
pub(super) fn inspect(world: &World, path: &Path) -> Result<Layout> {
    let found = if world.rank() == Rank(0) { encode(read_header(path)) } else { Vec::new() };
    let text = world.broadcast_bytes(Rank(0), found)?;
    decode(&String::from_utf8_lossy(&text)).map_err(|trouble| trouble.error(path))
}

fn read_header(path: &Path) -> Result<Layout, Trouble> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Trouble::malformed("this is not a file"));
    }
    let mut front = [0; 12];
    let there = front.len().min(metadata.len() as usize);
    file.read_exact_at(&mut front[..there], 0)?;
    let (prefix, length) = header::text_range(&front[..there])?;
    if metadata.len() < (prefix + length) as u64 {
        let message = format!("the header claims {length} bytes, but the file has {} bytes in all", metadata.len());
        return Err(Trouble::malformed(message));
    }
    let mut text = vec![0; length];
    file.read_exact_at(&mut text, prefix as u64)?;
    header::read(&String::from_utf8_lossy(&text), (prefix + length) as u64, metadata.len())
}

/// What rank 0 found, as text for the others.
fn encode(found: Result<Layout, Trouble>) -> Vec<u8> {
    let text = match found {
        Ok(Layout { shape, dtype, fortran, swapped, start }) => {
            let lengths = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
            format!("L{dtype};{fortran};{swapped};{start};{lengths}")
        }
        Err(trouble) => trouble.encode(),
    };
    text.into_bytes()
}

fn decode(text: &str) -> Result<Layout, Trouble> {
    let Some(text) = text.strip_prefix('L') else { return Err(Trouble::decode(text)) };
    let fields: Vec<&str> = text.split(';').collect();
    let lengths = fields[4].split(',').filter(|length| !length.is_empty());
    Ok(Layout {
        dtype: DType::named(fields[0]).expect("written by encode"),
        fortran: fields[1] == "true",
        swapped: fields[2] == "true",
        start: fields[3].parse().expect("written by encode"),
        shape: Shape::from_lengths(lengths.map(|length| length.parse().expect("written by encode")).collect()),
    })
}

/// Reads this rank's tiles by tasks, each where its memory belongs; the trouble they met.
fn read_part(world: &World, file: &Arc<File>, layout: &Arc<Layout>, part: &Part) -> Result<Option<Trouble>> {
    let troubles = Troubles::default();
    let mut graph = world.graph("load");
    let tiles = part.tiles().len();
    for (index, tile) in part.tiles().iter().enumerate() {
        let block = graph.bind(world.rank(), tile.cell.bytes(), Some(Arc::clone(&tile.cell)));
        let (file, layout, rows) = (Arc::clone(file), Arc::clone(layout), tile.rows.clone());
        let troubles = troubles.clone();
        let domain = world.domain_of_tile(index, tiles);
        graph.task("load", world.rank(), domain, &[Access::Write(block)], || {
            Box::new(move |context| {
                troubles.note(read_rows(&file, &layout, &rows, &mut context.write(0)));
                Ok(())
            })
        })?;
    }
    world.run(&Arc::new(graph.finish()?))?;
    Ok(troubles.take())
}

pub(super) fn read_rows(file: &File, layout: &Layout, rows: &Range<usize>, out: &mut [u8]) -> Result<(), Trouble> {
    let (item, row_elements) = (layout.dtype.bytes(), layout.shape.row_elements());
    if layout.fortran && layout.shape.len() > 1 {
        read_columns(file, layout, rows, out)?;
    } else {
        file.read_exact_at(out, layout.start + (rows.start * row_elements * item) as u64)?;
    }
    if layout.swapped {
        // The parts of a complex number are swapped each for itself.
        out.chunks_exact_mut(layout.dtype.real().bytes()).for_each(<[u8]>::reverse);
    }
    if layout.dtype == DType::Bool {
        // A byte other than 0 and 1 is true to NumPy, and would be neither to a kernel.
        out.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
    }
    Ok(())
}

/// Reads rows of a file whose first index runs fastest: a run of them for each element of a row.
fn read_columns(file: &File, layout: &Layout, rows: &Range<usize>, out: &mut [u8]) -> Result<(), Trouble> {
    let (item, row_elements) = (layout.dtype.bytes(), layout.shape.row_elements());
    let inner = &layout.shape[1..];
    // Aligned for any element, as copies between typed slices need it.
    let mut run = vec![0_u64; (rows.len() * item).div_ceil(8)];
    let run = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut run)[..rows.len() * item];
    for element in 0..row_elements {
        let (mut rest, mut at, mut step) = (element, 0, 1);
        let mut steps = Vec::with_capacity(inner.len());
        for &length in inner {
            steps.push(step);
            step *= length;
        }
        for (&length, step) in inner.iter().zip(steps).rev() {
            at += rest % length * step;
            rest /= length;
        }
        let first = (at * layout.shape.rows() + rows.start) * item;
        file.read_exact_at(run, layout.start + first as u64)?;
        let copying = Copying {
            lengths: vec![rows.len()],
            from_steps: vec![1],
            to: element as isize,
            to_steps: vec![row_elements as isize],
            ..Copying::default()
        };
        copy(item, &copying, run, out);
    }
    Ok(())
}

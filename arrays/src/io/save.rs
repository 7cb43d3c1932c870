//! Writes `.npy` files: a header by rank 0, rows by the rank that has them, a new name at the end.

use super::header;
use super::{Trouble, Troubles, agree};
use crate::array::Array;
use crate::distribution::Layout;
use crate::error::Result;
use crate::shape::Shape;
use girih_runtime::graph::Access;
use girih_runtime::ids::Rank;
use girih_runtime::world::World;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) fn save(array: &Array, path: &Path) -> Result<()> {
    array.wait()?;
    let (world, shape) = (array.world(), Shape::new(array.shape())?);
    let header = header::write(&shape, array.dtype());
    let unfinished = unfinished_name(path);
    let first = world.rank() == Rank(0);
    let bytes = header.len() + shape.elements() * array.dtype().bytes();
    let begun = if first { begin(&unfinished, &header, bytes as u64).err() } else { None };
    let mut outcome = agree(world, path, begun);
    if outcome.is_ok() {
        let trouble = match OpenOptions::new().write(true).open(&unfinished) {
            Ok(file) => {
                let written = write_part(world, array, file, header.len());
                written.unwrap_or_else(|error| Some(Trouble::local(&error)))
            }
            Err(error) => Some(error.into()),
        };
        outcome = agree(world, path, trouble);
    }
    let renamed = if first && outcome.is_ok() { fs::rename(&unfinished, path).err().map(Trouble::from) } else { None };
    let outcome = outcome.and_then(|()| agree(world, path, renamed));
    if first && outcome.is_err() {
        // What is left of a failure is no array; if it cannot be removed, the first error says more.
        let _ = fs::remove_file(&unfinished);
    }
    outcome
}

/// A name beside the file's own, so that renaming moves no bytes.
fn unfinished_name(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".unfinished");
    path.with_file_name(name)
}

fn begin(path: &Path, header: &[u8], bytes: u64) -> Result<(), Trouble> {
    let file = File::create(path)?;
    file.set_len(bytes)?;
    file.write_all_at(header, 0)?;
    Ok(())
}

/// Writes this rank's tiles by tasks; the trouble they met.
fn write_part(world: &World, array: &Array, file: File, start: usize) -> Result<Option<Trouble>> {
    if array.layout() == Layout::Replicated && world.rank() != Rank(0) {
        return Ok(None);
    }
    let row_bytes = array.shape().iter().skip(1).product::<usize>() * array.dtype().bytes();
    let (file, troubles) = (Arc::new(file), Troubles::default());
    let mut graph = world.graph("save");
    let tiles = array.tiles()?;
    for (index, tile) in tiles.iter().enumerate() {
        let block = graph.bind(world.rank(), tile.cell.bytes(), Some(Arc::clone(&tile.cell)));
        let (file, troubles) = (Arc::clone(&file), troubles.clone());
        let offset = (start + tile.rows.start * row_bytes) as u64;
        let domain = world.domain_of_tile(index, tiles.len());
        graph.task("save", world.rank(), domain, &[Access::Read(block)], || {
            Box::new(move |context| {
                troubles.note(file.write_all_at(&context.read(0), offset).map_err(Trouble::from));
                Ok(())
            })
        })?;
    }
    world.run(&Arc::new(graph.finish()?))?;
    // Errors of delayed writing come to light here, not after the rename.
    troubles.note(file.sync_all().map_err(Trouble::from));
    Ok(troubles.take())
}

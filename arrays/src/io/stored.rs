//! A `.npy` file whose rows are read when they are needed.
//!
//! Invariant: shape and type are those that rank 0 found, on all ranks.

use super::header::Layout;
use super::load::{inspect, read_rows};
use super::{Trouble, agree};
use crate::dtype::DType;
use crate::error::Result;
use girih_runtime::world::World;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// An open `.npy` file; any thread may read any rows at any time.
#[derive(Debug)]
pub struct NpyFile {
    path: PathBuf,
    file: File,
    layout: Layout,
}

impl NpyFile {
    /// Opens a file that all ranks can open. Collective.
    ///
    /// # Errors
    /// Replicated, agreed on: `Error::File`, which names the file.
    pub fn open(world: &World, path: &Path) -> Result<NpyFile> {
        let layout = inspect(world, path)?;
        let (file, trouble) = match File::open(path) {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(Trouble::from(error))),
        };
        agree(world, path, trouble)?;
        let file = file.expect("all ranks have opened theirs");
        Ok(NpyFile { path: path.to_path_buf(), file, layout })
    }

    /// The array's shape.
    pub fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// The type of its elements.
    pub fn dtype(&self) -> DType {
        self.layout.dtype
    }

    /// Fills `out` with these rows, in C order and the machine's byte order.
    ///
    /// Cost: one read of the file; in Fortran order one for each element of a row.
    ///
    /// # Errors
    /// Local: `Error::File`.
    ///
    /// # Panics
    /// If `out` is not as long as the rows, or the array has no axes.
    pub fn read_rows(&self, rows: &Range<usize>, out: &mut [u8]) -> Result<()> {
        let bytes = rows.len() * self.layout.shape.row_elements() * self.layout.dtype.bytes();
        assert_eq!(out.len(), bytes, "room for the rows");
        read_rows(&self.file, &self.layout, rows, out).map_err(|trouble| trouble.error(&self.path))
    }
}

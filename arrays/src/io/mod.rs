//! Arrays in files: `.npy`, read and written by all ranks at once.
//!
//! Rank 0 alone looks at a file's header and tells the others; then each rank reads or writes its own rows, a
//! tile by a task. Whatever goes wrong on one rank is agreed on, and the same error returns on all.
//! Never here: the text of headers.

mod header;
mod load;
mod save;
mod stored;

pub use stored::NpyFile;

use crate::array::Array;
use crate::dtype::DType;
use crate::error::{Error, Result};
use girih_runtime::world::World;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

impl Array {
    /// Reads an array from a `.npy` file that all ranks can open. Collective.
    ///
    /// Cost: every rank reads its own rows, and no others; from a file in Fortran order in one read for each
    /// element of a row and tile.
    ///
    /// # Errors
    /// Replicated, agreed on: `Error::File`, which names the file. Local: `Error::Runtime` for memory.
    pub fn load(world: &World, path: &Path) -> Result<Array> {
        load::load(world, path)
    }

    /// Writes the array to a `.npy` file in a directory that all ranks see. Collective.
    ///
    /// The file appears whole or not at all: it is written beside its place and renamed at the end.
    ///
    /// # Errors
    /// Replicated, agreed on: `Error::File`, which names the file. As [`Array::wait`] otherwise.
    pub fn save(&self, path: &Path) -> Result<()> {
        save::save(self, path)
    }

    /// What a `.npy` file says it holds: shape and type. Collective.
    ///
    /// # Errors
    /// As [`Array::load`].
    pub fn inspect(world: &World, path: &Path) -> Result<(Vec<usize>, DType)> {
        let layout = load::inspect(world, path)?;
        Ok((layout.shape.to_vec(), layout.dtype))
    }
}

/// What is wrong with a file, before it is known on all ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    message: String,
    /// Whether the file's contents are at fault, rather than the system.
    malformed: bool,
}

impl Trouble {
    fn malformed(message: impl Into<String>) -> Trouble {
        Trouble { message: message.into(), malformed: true }
    }

    /// This rank's failure that is no fault of the file.
    fn local(error: &Error) -> Trouble {
        Trouble { message: error.to_string(), malformed: false }
    }

    /// As text for other ranks; its first letter tells the kind.
    fn encode(&self) -> String {
        format!("{}{}", if self.malformed { 'M' } else { 'S' }, self.message)
    }

    fn decode(text: &str) -> Trouble {
        Trouble { message: text.get(1..).unwrap_or("").to_string(), malformed: text.starts_with('M') }
    }

    fn error(self, path: &Path) -> Error {
        Error::File { path: path.to_path_buf(), message: self.message, malformed: self.malformed }
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Trouble {
        Trouble { message: error.to_string(), malformed: false }
    }
}

/// The first trouble of this rank's tasks.
#[derive(Clone, Default)]
struct Troubles(Arc<Mutex<Option<Trouble>>>);

impl Troubles {
    fn note(&self, outcome: Result<(), Trouble>) {
        if let Err(trouble) = outcome {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(trouble);
        }
    }

    fn take(&self) -> Option<Trouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Returns the trouble of the lowest rank that has one, on all ranks.
fn agree(world: &World, path: &Path, trouble: Option<Trouble>) -> Result<()> {
    let text = trouble.map_or(Vec::new(), |trouble| trouble.encode().into_bytes());
    let texts = world.all_gather_bytes(text)?;
    match texts.iter().find(|text| !text.is_empty()) {
        None => Ok(()),
        Some(text) => Err(Trouble::decode(&String::from_utf8_lossy(text)).error(path)),
    }
}

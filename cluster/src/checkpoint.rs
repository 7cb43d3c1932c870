//! A fit on disk, so that it can go on after its job ended.
//!
//! The file holds the centres before and after an iteration, from which all else follows: labels are found again by one
//! pass. So it fits any number of ranks. It is written beside its place, flushed, and renamed: a reader sees a whole
//! file or the one before.
//! Layout, in little-endian words of eight bytes: magic, format, bytes of a value, rows, columns, clusters, iterations;
//! then the centres before and after, as the data has them; then the CRC-32 of all before.

use crate::error::{Error, Result};
use crate::observations::Observations;
use girih_arrays::Element;
use girih_arrays::kernel::nearest::Real;
use girih_runtime::ids::Rank;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

const MAGIC: u64 = u64::from_le_bytes(*b"girih-km");
const FORMAT: u64 = 1;
const HEAD: usize = 7;

/// Where a fit is kept, and how often.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// The file, seen by rank 0.
    pub path: PathBuf,
    /// Iterations from one to the next.
    pub every: usize,
}

/// A fit between two iterations; centres are about the data's origin, k×d in C order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State<T> {
    pub(crate) iterations: usize,
    pub(crate) before: Vec<T>,
    pub(crate) centres: Vec<T>,
}

impl<T: Real + Element + Default> Observations<T> {
    /// Writes on rank 0; all ranks learn of a failure. Cost: one agreement.
    pub(crate) fn keep(&self, path: &Path, state: &State<T>) -> Result<()> {
        let written = match self.world().rank() {
            Rank(0) => write(path, &state.bytes([self.rows(), self.columns()])),
            _ => Ok(()),
        };
        let told = written.map_err(|error| format!("the checkpoint {} cannot be written: {error}", path.display()));
        Ok(self.world().agree(told)?)
    }

    /// Reads on rank 0, for all ranks. Cost: one message of the file.
    ///
    /// # Errors
    /// Replicated: `Error::Value` if the file is not there, is damaged, or is of other data.
    pub(crate) fn kept(&self, path: &Path) -> Result<State<T>> {
        let mut told = Vec::new();
        if self.world().rank() == Rank(0) {
            // A first byte says whether a file or a text follows.
            told = fs::read(path).map_or_else(
                |error| [&[0], error.to_string().as_bytes()].concat(),
                |bytes| [&[1], &bytes[..]].concat(),
            );
        }
        let told = self.world().broadcast_bytes(Rank(0), told)?;
        let wrong = |why: &str| Error::Value(format!("resume: {} {why}", path.display()));
        match told.split_first() {
            Some((1, bytes)) => State::from_bytes(bytes, [self.rows(), self.columns()]).map_err(|why| wrong(&why)),
            Some((_, text)) => Err(wrong(&format!("cannot be read: {}", String::from_utf8_lossy(text)))),
            None => Err(wrong("cannot be read")),
        }
    }
}

impl<T: Real + Element> State<T> {
    fn bytes(&self, [rows, columns]: [usize; 2]) -> Vec<u8> {
        let clusters = self.centres.len() / columns;
        let sizes = [size_of::<T>(), rows, columns, clusters, self.iterations].map(|size| size as u64);
        let head = [MAGIC, FORMAT].into_iter().chain(sizes);
        let mut bytes: Vec<u8> = head.flat_map(u64::to_le_bytes).collect();
        for centres in [&self.before, &self.centres] {
            bytes.extend_from_slice(bytemuck::cast_slice(centres));
        }
        let check = u64::from(crc32fast::hash(&bytes));
        bytes.extend_from_slice(&check.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8], [rows, columns]: [usize; 2]) -> Result<State<T>, String> {
        let word =
            |at: usize| bytes.get(8 * at..8 * at + 8).map(|word| u64::from_le_bytes(word.try_into().expect("8")));
        let body = bytes.len().saturating_sub(8);
        if word(0) != Some(MAGIC) || bytes.len() < 8 * (HEAD + 1) {
            return Err("is no checkpoint of a fit".to_string());
        }
        let check = u64::from_le_bytes(bytes[body..].try_into().expect("8"));
        if word(1) != Some(FORMAT) || check != u64::from(crc32fast::hash(&bytes[..body])) {
            return Err("is damaged, or of another version".to_string());
        }
        let [width, own_rows, own_columns, clusters, iterations] =
            [2, 3, 4, 5, 6].map(|at| word(at).expect("the head is there") as usize);
        if (width, own_rows, own_columns) != (size_of::<T>(), rows, columns) {
            let found = format!("{own_rows}×{own_columns} values of {width} bytes");
            return Err(format!("is of other data: {found}, not {rows}×{columns} of {}", size_of::<T>()));
        }
        let values = clusters * columns;
        let mut both = vec![T::ZERO; 2 * values];
        if bytes[8 * HEAD..body].len() != 2 * values * size_of::<T>() {
            return Err("is damaged".to_string());
        }
        bytemuck::cast_slice_mut(&mut both).copy_from_slice(&bytes[8 * HEAD..body]);
        let centres = both.split_off(values);
        Ok(State { iterations, before: both, centres })
    }
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let mut file = fs::File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_and_any_changed_byte_is_found() {
        let state = State { iterations: 7, before: vec![1.0_f32, 2.0], centres: vec![3.0, -4.5] };
        let bytes = state.bytes([10, 2]);
        assert_eq!(State::from_bytes(&bytes, [10, 2]), Ok(state));
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert!(State::<f32>::from_bytes(&bytes, [10, 2]).is_err(), "byte {at}");
        }
        assert!(State::<f32>::from_bytes(&bytes[..bytes.len() - 1], [10, 2]).is_err());
        assert!(
            State::<f32>::from_bytes(&bytes, [11, 2]).is_err() && State::<f64>::from_bytes(&bytes, [10, 2]).is_err()
        );
    }
}

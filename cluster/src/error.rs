//! What can go wrong in K-Means.
//!
//! `Value` is replicated: every rank finds the same mistake in the same call.

use std::fmt;

/// An error of clustering.
#[derive(Clone, Debug)]
pub enum Error {
    /// Replicated: an argument or the data cannot be used; the text names it.
    Value(String),
    /// This rank's observer failed; the other ranks get the runtime's `Remote` with the same text.
    Observer(String),
    /// An array operation failed, with its own rules for who sees it.
    Arrays(girih_arrays::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Value(text) | Error::Observer(text) => f.write_str(text),
            Error::Arrays(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<girih_arrays::Error> for Error {
    fn from(error: girih_arrays::Error) -> Error {
        Error::Arrays(error)
    }
}

impl From<girih_runtime::error::Error> for Error {
    fn from(error: girih_runtime::error::Error) -> Error {
        Error::Arrays(girih_arrays::Error::Runtime(error))
    }
}

/// The result of a fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

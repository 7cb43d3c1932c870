//! What can go wrong with arrays.
//!
//! All but `Runtime` are replicated: found from what every rank knows, or agreed on before they are returned.

use crate::shape::ShapeError;
use std::fmt;
use std::path::PathBuf;

/// An error of an array operation.
#[derive(Clone, Debug)]
pub enum Error {
    /// Replicated: values or shapes that do not fit; Python's `ValueError`.
    Shape(String),
    /// Replicated: an axis that is not there; NumPy's `AxisError`.
    Axis(String),
    /// Replicated: a type that the operation does not take; Python's `TypeError`.
    Type(String),
    /// Replicated: a number that no element of the array's type could be; Python's `OverflowError`.
    Overflow(String),
    /// Replicated: an index out of bounds; Python's `IndexError`.
    Index(String),
    /// Replicated: a file that cannot be read or written, or is not what it says; Python's `OSError` or `ValueError`.
    File {
        /// The file as the caller named it.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
        /// Whether the file's contents are at fault, rather than the system.
        malformed: bool,
    },
    /// The runtime's own, with its own rules for who sees it.
    Runtime(girih_runtime::error::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Shape(text) | Error::Axis(text) | Error::Type(text) | Error::Overflow(text) | Error::Index(text) => {
                f.write_str(text)
            }
            Error::File { path, message, .. } => write!(f, "{}: {message}", path.display()),
            Error::Runtime(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<ShapeError> for Error {
    fn from(error: ShapeError) -> Error {
        match error {
            ShapeError::Value(text) => Error::Shape(text),
            ShapeError::Axis(text) => Error::Axis(text),
            ShapeError::Index(text) => Error::Index(text),
        }
    }
}

impl From<girih_runtime::error::Error> for Error {
    fn from(error: girih_runtime::error::Error) -> Error {
        Error::Runtime(error)
    }
}

/// The result of an array operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

//! What can go wrong below arrays, and which ranks see it.
//!
//! Replicated errors are found from what every rank knows, before any message.
//! Local errors are one rank's trouble; the epoch's agreement turns them into
//! [`Error::Remote`] on all other ranks.

use crate::ids::Rank;
use std::fmt;
use std::path::PathBuf;

/// An error of the runtime.
#[derive(Clone, Debug)]
pub enum Error {
    /// Replicated: an option or an environment variable has a value that cannot be used.
    Config(String),
    /// Local: the machine's topology cannot be read, or a thread cannot be bound.
    Topology(String),
    /// Local, at start: the launcher and the MPI library do not fit, or MPI lacks a thread level.
    Launch(String),
    /// Local: the transport failed in `call`; `peer` is the other rank where there is one.
    Transport {
        /// The rank on which the call failed.
        rank: Rank,
        /// The MPI function, or the operation of another transport.
        call: &'static str,
        /// The other side, for point-to-point calls.
        peer: Option<Rank>,
        /// What the library says of the error.
        message: String,
    },
    /// Local: a task returned an error or panicked.
    Task {
        /// The rank that ran the task.
        rank: Rank,
        /// The task's label in the graph.
        task: String,
        /// The error's or the panic's text.
        message: String,
    },
    /// Replicated by the agreement at the end of an epoch: another rank failed first.
    Remote {
        /// The rank that failed; the lowest one if several did.
        rank: Rank,
        /// That rank's error, with its traceback where there is one.
        message: String,
    },
    /// Replicated by the agreement before a step: the ranks are about to do different things. Nothing was sent.
    Divergence {
        /// A rank whose step is another than this rank's: the lowest, if the ranks could agree on that; none if a sum
        /// alone shows that there is one.
        rank: Option<Rank>,
        /// What this rank is about to do, and where its program says so.
        here: String,
        /// What that rank is about to do, and where.
        there: String,
    },
    /// Replicated: a file of the runtime's own, such as a trace, cannot be written.
    File {
        /// The file as the caller named it.
        path: PathBuf,
        /// What the system says.
        message: String,
    },
    /// Local: a block would exceed the memory budget.
    Memory {
        /// Bytes that were asked for.
        bytes: usize,
        /// Bytes that the budget still allows.
        bytes_left: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(text) | Error::Topology(text) | Error::Launch(text) => f.write_str(text),
            Error::Transport { rank, call, peer: Some(peer), message } => {
                write!(f, "{rank}: {call} with {peer}: {message}")
            }
            Error::Transport { rank, call, peer: None, message } => write!(f, "{rank}: {call}: {message}"),
            Error::Task { rank, task, message } => write!(f, "{rank}: task {task}: {message}"),
            Error::Remote { rank, message } => write!(f, "{rank} failed: {message}"),
            Error::Divergence { rank: Some(rank), here, there } => {
                write!(f, "the ranks diverge: this rank is at `{here}`, but {rank} is at `{there}`")
            }
            Error::Divergence { rank: None, here, there } => {
                write!(f, "the ranks diverge: this rank is at `{here}`, but another rank is at {there}")
            }
            Error::File { path, message } => write!(f, "{}: {message}", path.display()),
            Error::Memory { bytes, bytes_left } => {
                write!(
                    f,
                    "{bytes} bytes are needed and {bytes_left} are left of the memory budget; \
                     raise GIRIH_MEMORY_LIMIT or use more ranks"
                )
            }
        }
    }
}

impl std::error::Error for Error {}

/// The result of a fallible call of the runtime.
pub type Result<T, E = Error> = std::result::Result<T, E>;

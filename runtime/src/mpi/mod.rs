//! MPI, if there is one: which library, who started the ranks, and a session of it.
//!
//! The runtime links no MPI. A plug-in (`runtime/mpi`) is built for each family and loaded when it is needed.
//! Never here: what is sent, and when; buffers and their owners.

mod launcher;
mod load;
mod session;
mod shared;
#[allow(unreachable_pub, reason = "compiled into the plug-in too, where it is public")]
mod table;

pub use launcher::Launcher;
pub(crate) use session::{Lane, Request, Session};
pub(crate) use table::{Finished, reduction};

use std::fmt;

/// Libraries that share one binary interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Open MPI.
    OpenMpi,
    /// MPICH, Intel MPI, MVAPICH and Cray MPI.
    Mpich,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::OpenMpi => "Open MPI",
            Family::Mpich => "MPICH",
        })
    }
}

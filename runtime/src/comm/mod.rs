//! Who talks: one thread per rank, sole caller of the transport.
//!
//! Workers and users post requests and are told of their end; they never call a transport, and never wait in one.
//! Never here: graphs, tasks.

pub mod in_process;
mod over_mpi;
mod thread;
mod traffic;
mod transport;

pub use over_mpi::MpiTransport;
pub use thread::{CollectiveRequest, CommThread, Completion, Post, Request};
pub use traffic::Traffic;
pub use transport::{Collective, Reduction, Ticket, Transport};

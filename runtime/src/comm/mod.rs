//! Who talks: one thread per rank, sole caller of the transport.
//!
//! Workers and users post requests and are told of their end; they never call a transport, and never wait in one.
//! Never here: graphs, tasks.

mod collective;
pub mod in_process;
mod meeting;
mod over_mpi;
mod thread;
mod traffic;
mod transport;

pub use collective::{Collective, CollectiveRequest, Reduction};
pub use over_mpi::MpiTransport;
pub use thread::{CommThread, Completion, Post, Request};
pub use traffic::Traffic;
pub use transport::{Ticket, Transport};

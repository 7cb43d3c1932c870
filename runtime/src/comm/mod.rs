//! Who talks: one engine per rank calls the transport, driven by one thread at a time, mostly the comm thread.
//!
//! Workers and users post requests and are told of their end; they never call a transport, and never wait in one.
//! Never here: graphs, tasks.

mod board;
mod collective;
mod engine;
mod handover;
pub mod in_process;
mod meeting;
mod over_mpi;
mod pace;
mod post;
mod ring;
mod thread;
mod traffic;
mod transport;

pub(crate) use board::At;
pub use board::Board;
pub use collective::{Collective, CollectiveRequest, Reduction};
pub use over_mpi::MpiTransport;
pub use post::{Completion, Post, Request};
pub use thread::CommThread;
pub use traffic::Traffic;
pub use transport::{Ticket, Transport};

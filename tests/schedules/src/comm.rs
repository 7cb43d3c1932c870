//! The runtime's `comm` without MPI, whose memory other processes share.

#[path = "../../../runtime/src/comm/board.rs"]
mod board;
#[path = "../../../runtime/src/comm/collective.rs"]
mod collective;
#[path = "../../../runtime/src/comm/engine.rs"]
mod engine;
#[path = "../../../runtime/src/comm/handover.rs"]
mod handover;
#[path = "../../../runtime/src/comm/in_process.rs"]
pub mod in_process;
#[path = "../../../runtime/src/comm/meeting.rs"]
mod meeting;
#[path = "../../../runtime/src/comm/pace.rs"]
mod pace;
#[path = "../../../runtime/src/comm/post.rs"]
mod post;
#[path = "../../../runtime/src/comm/ring.rs"]
mod ring;
#[path = "../../../runtime/src/comm/thread.rs"]
mod thread;
#[path = "../../../runtime/src/comm/traffic.rs"]
mod traffic;
#[path = "../../../runtime/src/comm/transport.rs"]
mod transport;

pub use board::Board;
pub use collective::{Collective, CollectiveRequest, Reduction};
pub use post::{Completion, Post, Request};
pub use thread::CommThread;
pub use traffic::Traffic;
pub use transport::{Ticket, Transport};

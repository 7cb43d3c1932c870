//! What the comm thread asks of the wire, whatever the wire is.
//!
//! A transport owns the buffers of its unfinished operations and gives them up on completion, so that no
//! block is touched while the wire may still read or write it. One thread at a time calls these
//! methods, after the transport was made; none of them blocks but `shut_down` and `abort`.

use super::board::Board;
use super::collective::Collective;
use crate::error::Result;
use crate::ids::{Rank, Tag};
use crate::memory::{ReadGuard, WriteGuard};

/// Names an operation posted to a transport; the caller chooses it and sees it again on completion.
pub type Ticket = u64;

/// The wire between ranks.
pub trait Transport: Send {
    /// This rank.
    fn rank(&self) -> Rank;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// Whether any thread may make the other calls, one at a time; else the one that made the transport makes all.
    fn any_thread(&self) -> bool;

    /// The board of this node, if it has one; to be given back, by dropping it, before `shut_down`.
    fn board(&mut self) -> Option<Board> {
        None
    }

    /// Starts to send a block; messages with the same `to` and `tag` arrive in the order they were posted.
    ///
    /// # Errors
    /// Local: `Error::Transport`.
    fn post_send(&mut self, ticket: Ticket, to: Rank, tag: Tag, data: ReadGuard) -> Result<()>;

    /// Sends bytes at once, if that needs no more than a copy; false, and nothing is sent, if it does. As a message
    /// that was posted, and ended.
    fn send_now(&mut self, _to: Rank, _tag: Tag, _bytes: &[u8]) -> bool {
        false
    }

    /// Starts to receive a block of exactly `data.len()` bytes.
    ///
    /// # Errors
    /// Local: `Error::Transport`.
    fn post_receive(&mut self, ticket: Ticket, from: Rank, tag: Tag, data: WriteGuard) -> Result<()>;

    /// Starts a collective; all ranks post the same collectives in the same order.
    ///
    /// # Errors
    /// Local: `Error::Transport`.
    fn post_collective(&mut self, ticket: Ticket, collective: Collective) -> Result<()>;

    /// Moves messages on, and adds the tickets of operations completed since the last call to `done`.
    /// The guards of a completed operation are dropped before this returns. True if anything moved, also where it
    /// completed no operation.
    ///
    /// # Errors
    /// Local: `Error::Transport`, for a message of the wrong length among others.
    fn progress(&mut self, done: &mut Vec<Ticket>) -> Result<bool>;

    /// Ends the transport; nothing may be outstanding. Called on the comm thread, on all ranks.
    fn shut_down(&mut self);

    /// Ends the whole job at once with this status, as well as the transport can. May return.
    fn abort(&mut self, status: i32);
}

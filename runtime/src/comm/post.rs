//! What is given to whoever drives the engine, and who hears of its end.
//!
//! Never here: when it is done, and how.

use super::collective::CollectiveRequest;
use crate::error::Result;
use crate::ids::{Rank, Tag};
use crate::memory::BlockCell;
use std::sync::Arc;

/// Hears of the end of a post.
pub trait Completion: Send + Sync {
    /// Post `index` is done; its blocks are free again. Called by whoever drives; may post, must not wait.
    fn completed(self: Arc<Self>, index: u32, outcome: Result<()>);
}

/// What to do, on blocks that no task uses meanwhile.
pub enum Request {
    /// Lends `data` to the wire.
    Send {
        /// The receiver.
        to: Rank,
        /// Matches the receive.
        tag: Tag,
        /// What is sent.
        data: Arc<BlockCell>,
    },
    /// Fills `data` from the wire.
    Receive {
        /// The sender.
        from: Rank,
        /// Matches the send.
        tag: Tag,
        /// Where it comes to lie.
        data: Arc<BlockCell>,
    },
    /// A collective with its number; all numbers are used, each once.
    Collective {
        /// Its place among all collectives of this world.
        sequence: u64,
        /// What is done together.
        kind: CollectiveRequest,
    },
}

/// A request with its poster.
pub struct Post {
    /// What counters of traffic call it.
    pub operation: &'static str,
    /// What to do.
    pub request: Request,
    /// Who is told.
    pub completion: Arc<dyn Completion>,
    /// What the poster calls it.
    pub index: u32,
}

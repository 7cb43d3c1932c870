//! What all ranks do together: the collectives, over whatever holds their bytes.
//!
//! A graph and a caller name blocks ([`CollectiveRequest`]); the transport is given the same with the blocks open.
//! Invariant: a reduction is offered only if its result does not depend on the order of the ranks, so that the
//! transport's algorithm never shows in the bits. Sums of floats go by canonical trees, above.
//! Never here: how the bytes travel.

use crate::ids::Rank;
use crate::memory::{BlockCell, ReadGuard, WriteGuard};
use std::sync::Arc;

/// How the words of a reduction combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Sum of `i64` words, wrapping.
    SumI64,
    /// Maximum of `i64` words.
    MaxI64,
    /// Minimum of `i64` words.
    MinI64,
}

impl Reduction {
    /// Two words become one.
    pub fn combine(self, one: i64, other: i64) -> i64 {
        match self {
            Reduction::SumI64 => one.wrapping_add(other),
            Reduction::MaxI64 => one.max(other),
            Reduction::MinI64 => one.min(other),
        }
    }

    /// The word that changes no other: what nothing combines to.
    pub fn identity(self) -> i64 {
        match self {
            Reduction::SumI64 => 0,
            Reduction::MaxI64 => i64::MIN,
            Reduction::MinI64 => i64::MAX,
        }
    }
}

/// A collective operation of all ranks, with this rank's part: `R` is read, `W` written, until its end.
///
/// Lengths are in bytes. A reduction takes a whole number of 8-byte words, equally many on all ranks.
#[derive(Clone, Debug)]
pub enum Collective<R = ReadGuard, W = WriteGuard> {
    /// Returns on no rank before all have entered.
    Barrier,
    /// `data` of `root` comes to all ranks; lengths are equal on all ranks.
    Broadcast {
        /// Where the data come from.
        root: Rank,
        /// Read on the root, written elsewhere.
        data: W,
    },
    /// Combines `data` of all ranks word by word, in place, on the root; elsewhere it stays as it was.
    Reduce {
        /// Where the result comes to lie.
        root: Rank,
        /// How words combine.
        reduction: Reduction,
        /// What this rank gives.
        data: W,
    },
    /// Combines `data` of all ranks word by word, in place, on all ranks.
    AllReduce {
        /// How words combine.
        reduction: Reduction,
        /// What this rank gives and gets.
        data: W,
    },
    /// Combines `data` of all ranks up to this one word by word, in place.
    Scan {
        /// How words combine.
        reduction: Reduction,
        /// Whether this rank's own words count; where they do not, rank 0 gets the reduction's identity.
        inclusive: bool,
        /// What this rank gives and gets.
        data: W,
    },
    /// Rank r's `part` comes to `whole[r]` on all ranks, in the order of ranks and without gaps.
    AllGather {
        /// What this rank gives.
        part: R,
        /// Room for the parts of all ranks.
        whole: W,
        /// The length of every rank's part, in the order of ranks.
        bytes: Arc<[usize]>,
    },
    /// Combines `whole` of all ranks word by word; rank r gets the r-th part of the result.
    ReduceScatter {
        /// How words combine.
        reduction: Reduction,
        /// What this rank gives: words for all ranks, in their order and without gaps.
        whole: R,
        /// Where its part of the result comes to lie.
        part: W,
        /// The length of every rank's part, in the order of ranks.
        bytes: Arc<[usize]>,
    },
    /// Part q of rank r's `sends` becomes part r of rank q's `receives`; parts lie in the order of ranks without gaps.
    AllToAll {
        /// What this rank gives.
        sends: R,
        /// Room for what it gets.
        receives: W,
        /// The length of the part for each rank.
        sent: Arc<[usize]>,
        /// The length of the part from each rank.
        received: Arc<[usize]>,
    },
}

/// A collective over blocks that no task uses meanwhile.
pub type CollectiveRequest = Collective<Arc<BlockCell>, Arc<BlockCell>>;

impl<R, W> Collective<R, W> {
    /// What reports call it.
    pub fn name(&self) -> &'static str {
        match self {
            Collective::Barrier => "a barrier",
            Collective::Broadcast { .. } => "a broadcast",
            Collective::Reduce { .. } => "a reduction",
            Collective::AllReduce { .. } => "an all-reduce",
            Collective::Scan { .. } => "a scan",
            Collective::AllGather { .. } => "an all-gather",
            Collective::ReduceScatter { .. } => "a reduce-scatter",
            Collective::AllToAll { .. } => "an all-to-all",
        }
    }
}

impl CollectiveRequest {
    /// The bytes that `rank` contributes; of an all-to-all those for other ranks, since its own part does not travel.
    pub fn bytes_given(&self, rank: Rank) -> usize {
        match self {
            Collective::Barrier => 0,
            Collective::Broadcast { root, data } if *root == rank => data.bytes(),
            Collective::Broadcast { .. } => 0,
            Collective::Reduce { data, .. } | Collective::AllReduce { data, .. } | Collective::Scan { data, .. } => {
                data.bytes()
            }
            Collective::AllGather { part, .. } => part.bytes(),
            Collective::ReduceScatter { whole, .. } => whole.bytes(),
            Collective::AllToAll { sends, sent, .. } => sends.bytes() - sent[rank.index()],
        }
    }

    /// The same with its blocks open.
    ///
    /// # Panics
    /// If a block is in use.
    pub fn open(self) -> Collective {
        match self {
            Collective::Barrier => Collective::Barrier,
            Collective::Broadcast { root, data } => Collective::Broadcast { root, data: data.write() },
            Collective::Reduce { root, reduction, data } => Collective::Reduce { root, reduction, data: data.write() },
            Collective::AllReduce { reduction, data } => Collective::AllReduce { reduction, data: data.write() },
            Collective::Scan { reduction, inclusive, data } => {
                Collective::Scan { reduction, inclusive, data: data.write() }
            }
            Collective::AllGather { part, whole, bytes } => {
                Collective::AllGather { part: part.read(), whole: whole.write(), bytes }
            }
            Collective::ReduceScatter { reduction, whole, part, bytes } => {
                Collective::ReduceScatter { reduction, whole: whole.read(), part: part.write(), bytes }
            }
            Collective::AllToAll { sends, receives, sent, received } => {
                Collective::AllToAll { sends: sends.read(), receives: receives.write(), sent, received }
            }
        }
    }
}

/// Where parts of these lengths begin that lie one behind the other.
pub(super) fn offsets(bytes: &[usize]) -> impl Iterator<Item = usize> {
    bytes.iter().scan(0, |end, &bytes| {
        *end += bytes;
        Some(*end - bytes)
    })
}

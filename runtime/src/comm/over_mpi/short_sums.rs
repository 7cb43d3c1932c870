//! All-reduces of few words, and barriers, where rings join all ranks: each writes its words to every other's ring.
//!
//! One step instead of the logarithm of the ranks, which is what counts where ranks wait for each other's cores. Who
//! comes last finds the words of all others and waits for nobody. Each rank combines all words itself, which makes the
//! same everywhere, since reductions do not depend on an order.
//! Invariant: words carry the number of their collective, which all ranks count alike; those of a collective that this
//! rank has not come to are kept, and a rank can be ahead by no more than one.
//! Never here: sums of many words, and of ranks of several nodes; these are MPI's, or go in panels.

use super::{Buffers, MpiTransport};
use crate::comm::collective::Reduction;
use crate::comm::transport::{Ticket, Transport};
use crate::error::{Error, Result};
use crate::ids::{Rank, Tag};
use crate::memory::WriteGuard;
use std::collections::VecDeque;

/// Above it a tree sends less.
const RANKS_MAX: usize = 16;
/// The same, for what a rank writes to all others together.
const BYTES_MAX: usize = 16 << 10;
/// Tags of messages of graphs are below.
const TAG_BIT: u32 = 1 << 31;

/// A collective that is not complete here.
#[derive(Debug, Default)]
struct Meeting {
    /// What is done with the words, when this rank has come: none for a barrier.
    mine: Option<(usize, Option<Reduction>)>,
    /// Words of ranks that came before this one.
    kept: Vec<Vec<u8>>,
    /// Ranks whose words have come.
    came: usize,
}

/// Those collectives, the oldest first.
#[derive(Debug, Default)]
pub(super) struct ShortSums {
    /// The number of the first of `meetings`, and of the next that this rank comes to.
    first: u32,
    next: u32,
    meetings: VecDeque<Meeting>,
}

impl ShortSums {
    /// True while words of others are missing.
    pub(super) fn wants_words(&self) -> bool {
        self.first != self.next
    }

    fn meeting(&mut self, number: u32) -> &mut Meeting {
        let place = (number.wrapping_sub(self.first) & !TAG_BIT) as usize;
        while self.meetings.len() <= place {
            self.meetings.push_back(Meeting::default());
        }
        &mut self.meetings[place]
    }
}

/// True for the tag of words of such a collective.
pub(super) fn is_of_sum(tag: Tag) -> bool {
    tag.0 & TAG_BIT != 0
}

impl MpiTransport {
    /// Whether an all-reduce of so many bytes goes this way; alike on all ranks.
    pub(super) fn is_short_sum(&self, bytes: usize) -> bool {
        let others = self.size() - 1;
        let bounded = bytes * others <= BYTES_MAX.min(self.call_bytes_max / 4) && self.size() <= RANKS_MAX;
        bounded && others > 0 && self.rings.reach_all() && bytes <= self.rings.message_bytes_max()
    }

    /// Starts an all-reduce, or a barrier, which has no data.
    pub(super) fn post_short_sum(&mut self, ticket: Ticket, sum: Option<(Reduction, WriteGuard)>) -> Result<()> {
        let number = self.short_sums.next;
        self.short_sums.next = (number + 1) & !TAG_BIT;
        let (reduction, data) = sum.map_or((None, None), |(reduction, data)| (Some(reduction), Some(data)));
        let words: &[u8] = data.as_deref().unwrap_or_default();
        for peer in 0..self.size() {
            let (peer, tag) = (Rank::from(peer), Tag(TAG_BIT | number));
            if peer != self.rank() && !self.rings.write(peer, tag, words) {
                self.rings.keep(None, peer, tag, words);
            }
        }
        let operation = self.enter(ticket, Buffers { written: data, ..Buffers::default() });
        let meeting = self.short_sums.meeting(number);
        meeting.mine = Some((operation, reduction));
        let kept = std::mem::take(&mut meeting.kept);
        kept.iter().try_for_each(|words| self.combine(operation, reduction, words))?;
        self.end_short_sums();
        Ok(())
    }

    /// Words of another rank have come.
    pub(super) fn take_words(&mut self, tag: Tag, words: &[u8]) -> Result<()> {
        let meeting = self.short_sums.meeting(tag.0 & !TAG_BIT);
        meeting.came += 1;
        match meeting.mine {
            Some((operation, reduction)) => self.combine(operation, reduction, words)?,
            None => meeting.kept.push(words.to_vec()),
        }
        self.end_short_sums();
        Ok(())
    }

    fn combine(&mut self, operation: usize, reduction: Option<Reduction>, words: &[u8]) -> Result<()> {
        let rank = self.rank();
        let mine: &mut [u8] = self.operation(operation).buffers.written.as_deref_mut().unwrap_or_default();
        if mine.len() != words.len() {
            let message = format!("{} bytes meet {}", words.len(), mine.len());
            return Err(Error::Transport { rank, call: "all-reduce", peer: None, message });
        }
        let Some(reduction) = reduction else { return Ok(()) };
        for (sum, word) in mine.as_chunks_mut().0.iter_mut().zip(words.as_chunks().0) {
            *sum = reduction.combine(i64::from_ne_bytes(*sum), i64::from_ne_bytes(*word)).to_ne_bytes();
        }
        Ok(())
    }

    /// Ends those collectives to which all ranks have come, in order.
    fn end_short_sums(&mut self) {
        let others = self.size() - 1;
        while let Some(&Meeting { mine: Some((operation, _)), came, .. }) = self.short_sums.meetings.front()
            && came == others
        {
            self.short_sums.meetings.pop_front();
            self.short_sums.first = (self.short_sums.first + 1) & !TAG_BIT;
            self.settle_posted(operation);
        }
    }
}

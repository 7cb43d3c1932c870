//! The all-to-all over MPI: messages between pairs, in rounds.
//!
//! In round k rank r sends to r + k and receives from r − k, so a pair is in the same round on both of its ranks and
//! at most [`ROUNDS_MAX`] rounds are open. Parts without bytes send nothing, lengths are bounded by nothing, and what a
//! rank need not know it is not told: the lengths between other ranks.
//! Invariant: rounds are posted in order, and the first that is incomplete anywhere is posted on all ranks: all end.
//! Every exchange has a tag of its own, which all ranks count alike: rounds of two at once may come in any order.

#![allow(unsafe_code, reason = "MPI holds addresses of blocks until their request completes")]

use super::{Buffers, MpiTransport, Part, Rest, pieces_with_end};
use crate::comm::collective::offsets;
use crate::comm::transport::{Ticket, Transport};
use crate::error::Result;
use crate::ids::{Rank, Tag};
use crate::memory::{ReadGuard, WriteGuard};
use crate::mpi::Lane;
use std::collections::VecDeque;

/// More open rounds than these would only fill the buffers of MPI.
const ROUNDS_MAX: usize = 8;

/// The rounds of an all-to-all that are not posted.
#[derive(Debug)]
pub(super) struct Exchange {
    rounds: VecDeque<Round>,
    data: *const u8,
    room: *mut u8,
    tag: Tag,
}

// SAFETY: both addresses lie in the blocks that the operation owns beside this, and go wherever it goes.
unsafe impl Send for Exchange {}

/// Where a message lies: its rank, and its first and last byte in the block.
#[derive(Debug)]
struct Span {
    peer: Rank,
    start: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Round {
    send: Span,
    receive: Span,
}

impl MpiTransport {
    pub(super) fn post_all_to_all(
        &mut self,
        ticket: Ticket,
        sends: ReadGuard,
        mut receives: WriteGuard,
        sent: &[usize],
        received: &[usize],
    ) -> Result<()> {
        let (here, size) = (self.rank().index(), self.size());
        assert!(sent.len() == size && received.len() == size, "an all-to-all has a part for each rank");
        let totals = [sent.iter().sum::<usize>(), received.iter().sum()];
        assert_eq!([sends.len(), receives.len()], totals, "the lengths of an all-to-all disagree");
        assert_eq!(sent[here], received[here], "a rank gives itself what it gets");
        let (from, to): (Vec<usize>, Vec<usize>) = (offsets(sent).collect(), offsets(received).collect());
        receives[to[here]..][..sent[here]].copy_from_slice(&sends[from[here]..][..sent[here]]);
        let round = |round: usize| {
            let (after, before) = ((here + round) % size, (here + size - round) % size);
            let send = Span { peer: Rank::from(after), start: from[after], bytes: sent[after] };
            let receive = Span { peer: Rank::from(before), start: to[before], bytes: received[before] };
            Round { send, receive }
        };
        let rounds = (1..size).map(round).filter(|round| round.send.bytes + round.receive.bytes > 0);
        let tag = self.tag_of_exchange();
        let exchange = Exchange { rounds: rounds.collect(), data: sends.as_ptr(), room: receives.as_mut_ptr(), tag };
        let operation =
            self.enter(ticket, Buffers { _read: Some(sends), written: Some(receives), ..Buffers::default() });
        self.operation(operation).rest = Some(Rest::Exchange(exchange));
        self.advance(operation)?;
        self.settle_posted(operation);
        Ok(())
    }

    /// Posts the next rounds of an all-to-all, as many as may be open.
    pub(super) fn advance(&mut self, place: usize) -> Result<()> {
        loop {
            let operation = self.operation(place);
            let Some(Rest::Exchange(exchange)) = &mut operation.rest else { return Ok(()) };
            if exchange.rounds.is_empty() {
                operation.rest = None;
                return Ok(());
            }
            // A round has two requests, more if it is long.
            if operation.unfinished > 2 * (ROUNDS_MAX - 1) {
                return Ok(());
            }
            let Round { send, receive } = exchange.rounds.pop_front().expect("looked at above");
            let (data, room, tag) = (exchange.data, exchange.room, exchange.tag);
            self.post_part_receive(place, room, tag, &receive)?;
            self.post_part_send(place, data, tag, &send)?;
        }
    }

    /// A tag for the messages of one collective; equal on all ranks, which post the same collectives.
    pub(super) fn tag_of_exchange(&mut self) -> Tag {
        self.exchanges = self.exchanges.wrapping_add(1);
        // The bound that every MPI keeps to; nobody has as many collectives open.
        Tag(self.exchanges % 32_767)
    }

    fn post_part_receive(&mut self, operation: usize, room: *mut u8, tag: Tag, span: &Span) -> Result<()> {
        for (offset, bytes) in pieces_with_end(span.bytes, self.call_bytes_max).filter(|_| span.bytes > 0) {
            // SAFETY: the piece lies within the block, as the lengths were checked, and the block stays until the
            // request is complete; the spans of a block are disjoint.
            let request = unsafe {
                let start = room.add(span.start + offset);
                self.session().receive(Lane::Collectives, start, bytes, span.peer, tag)
            };
            let part = Part { peer: Some(span.peer), bytes_expected: Some(bytes), ..Part::of(operation, "MPI_Irecv") };
            self.add(request, part)?;
        }
        Ok(())
    }

    fn post_part_send(&mut self, operation: usize, data: *const u8, tag: Tag, span: &Span) -> Result<()> {
        for (offset, bytes) in pieces_with_end(span.bytes, self.call_bytes_max).filter(|_| span.bytes > 0) {
            // SAFETY: as in `post_part_receive`.
            let request = unsafe {
                let start = data.add(span.start + offset);
                self.session().send(Lane::Collectives, start, bytes, span.peer, tag)
            };
            self.add(request, Part { peer: Some(span.peer), ..Part::of(operation, "MPI_Isend") })?;
        }
        Ok(())
    }
}

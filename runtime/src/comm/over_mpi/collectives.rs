//! The collectives over MPI: its non-blocking calls, in as many of them as 32-bit counts need.
//!
//! Invariant: what is split is split alike on all ranks, for the lengths of a collective are known to all.
//! Never here: the all-to-all, whose lengths are not; it is an exchange of messages.

#![allow(unsafe_code, reason = "MPI holds addresses of blocks until their request completes")]

use super::{Buffers, MpiTransport, Part};
use crate::comm::collective::{Collective, Reduction, offsets};
use crate::comm::transport::{Ticket, Transport};
use crate::error::Result;
use crate::ids::Rank;
use crate::memory::{ReadGuard, WriteGuard};
use crate::mpi::reduction;

impl MpiTransport {
    pub(super) fn start_collective(&mut self, ticket: Ticket, collective: Collective) -> Result<()> {
        match collective {
            Collective::Barrier if self.is_short_sum(0) => self.post_short_sum(ticket, None),
            Collective::AllReduce { reduction, data } if self.is_short_sum(data.len()) => {
                self.post_short_sum(ticket, Some((reduction, data)))
            }
            Collective::Barrier => {
                let operation = self.enter(ticket, Buffers::default());
                let request = self.session().barrier();
                self.add(request, Part::of(operation, "MPI_Ibarrier"))
            }
            Collective::Broadcast { root, data } => self.post_broadcast(ticket, root, data),
            Collective::Reduce { root, reduction, data } => self.post_reduce(ticket, root, reduction, data),
            Collective::AllReduce { reduction, data } => self.post_all_reduce(ticket, reduction, data),
            Collective::Scan { reduction, inclusive, data } => self.post_scan(ticket, reduction, inclusive, data),
            Collective::AllGather { part, whole, bytes } => self.post_all_gather(ticket, part, whole, &bytes),
            Collective::ReduceScatter { reduction, whole, part, bytes } => {
                self.post_reduce_scatter(ticket, reduction, whole, part, &bytes)
            }
            Collective::AllToAll { sends, receives, sent, received } => {
                self.post_all_to_all(ticket, sends, receives, &sent, &received)
            }
        }
    }

    fn post_broadcast(&mut self, ticket: Ticket, root: Rank, mut data: WriteGuard) -> Result<()> {
        let (start, bytes, limit) = (data.as_mut_ptr(), data.len(), self.call_bytes_max);
        let operation = self.enter(ticket, Buffers { written: Some(data), ..Buffers::default() });
        for (offset, bytes) in pieces(bytes, limit) {
            // SAFETY: the piece lies within the block, which `enter` keeps until the request is complete.
            let request = unsafe { self.session().broadcast(start.add(offset), bytes, root) };
            self.add(request, Part { peer: Some(root), ..Part::of(operation, "MPI_Ibcast") })?;
        }
        Ok(())
    }

    fn post_reduce(&mut self, ticket: Ticket, root: Rank, reduction: Reduction, mut data: WriteGuard) -> Result<()> {
        let (start, bytes, limit) = (words(&mut data), data.len(), self.call_bytes_max);
        let here = self.rank() == root;
        let operation = self.enter(ticket, Buffers { written: Some(data), ..Buffers::default() });
        for (offset, bytes) in pieces(bytes, limit) {
            // SAFETY: as in `post_broadcast`; the limit is a multiple of the word.
            let request = unsafe {
                let piece = start.add(offset);
                let given = if here { std::ptr::null() } else { piece.cast_const() };
                self.session().reduce(given, piece, bytes / 8, number(reduction), root)
            };
            self.add(request, Part { peer: Some(root), ..Part::of(operation, "MPI_Ireduce") })?;
        }
        Ok(())
    }

    fn post_all_reduce(&mut self, ticket: Ticket, reduction: Reduction, mut data: WriteGuard) -> Result<()> {
        if self.goes_in_panels(data.len()) {
            return self.post_panels(ticket, reduction, data);
        }
        let (start, bytes, limit) = (words(&mut data), data.len(), self.call_bytes_max);
        let operation = self.enter(ticket, Buffers { written: Some(data), ..Buffers::default() });
        for (offset, bytes) in pieces(bytes, limit) {
            // SAFETY: as in `post_broadcast`; the limit is a multiple of the word.
            let request = unsafe { self.session().all_reduce(start.add(offset), bytes / 8, number(reduction)) };
            self.add(request, Part::of(operation, "MPI_Iallreduce"))?;
        }
        Ok(())
    }

    fn post_scan(&mut self, ticket: Ticket, reduction: Reduction, inclusive: bool, mut data: WriteGuard) -> Result<()> {
        let (start, bytes, limit) = (words(&mut data), data.len(), self.call_bytes_max);
        let operation = self.enter(ticket, Buffers { written: Some(data), ..Buffers::default() });
        if !inclusive && self.rank() == Rank(0) {
            self.operation(operation).fill = Some(reduction.identity());
        }
        for (offset, bytes) in pieces(bytes, limit) {
            // SAFETY: as in `post_broadcast`; the limit is a multiple of the word.
            let request = unsafe { self.session().scan(start.add(offset), bytes / 8, number(reduction), inclusive) };
            self.add(request, Part::of(operation, "MPI_Iscan"))?;
        }
        Ok(())
    }

    fn post_all_gather(
        &mut self,
        ticket: Ticket,
        part: ReadGuard,
        mut whole: WriteGuard,
        bytes: &[usize],
    ) -> Result<()> {
        assert_eq!(bytes.len(), self.size(), "a gather has one part for each rank");
        let total: usize = bytes.iter().sum();
        let here = self.rank().index();
        assert!(part.len() == bytes[here] && whole.len() == total, "the lengths of a gather disagree");
        let offsets: Vec<usize> = offsets(bytes).collect();
        if total > self.call_bytes_max {
            whole[offsets[here]..][..part.len()].copy_from_slice(&part);
            return self.post_gather_by_broadcasts(ticket, whole, bytes, &offsets);
        }
        let (counts, displacements) = (narrow(bytes, 1), narrow(&offsets, 1));
        // SAFETY: `enter` keeps all four buffers, whose contents do not move with their owners, until the
        // request is complete.
        let request = unsafe { self.session().all_gather(part.as_ptr(), whole.as_mut_ptr(), &counts, &displacements) };
        let (_counts, _displacements) = (counts, displacements);
        let buffers =
            Buffers { _read: Some(part), written: Some(whole), _counts, _displacements, ..Buffers::default() };
        let operation = self.enter(ticket, buffers);
        self.add(request, Part::of(operation, "MPI_Iallgatherv"))
    }

    /// A gather whose displacements would not fit: every rank broadcasts its part, already in place.
    fn post_gather_by_broadcasts(
        &mut self,
        ticket: Ticket,
        mut whole: WriteGuard,
        bytes: &[usize],
        offsets: &[usize],
    ) -> Result<()> {
        let (start, limit) = (whole.as_mut_ptr(), self.call_bytes_max);
        let operation = self.enter(ticket, Buffers { written: Some(whole), ..Buffers::default() });
        for (root, (&bytes, &offset)) in bytes.iter().zip(offsets).enumerate() {
            let root = Rank::from(root);
            for (inner, bytes) in pieces(bytes, limit) {
                // SAFETY: as in `post_broadcast`; the pieces are disjoint.
                let request = unsafe { self.session().broadcast(start.add(offset + inner), bytes, root) };
                self.add(request, Part { peer: Some(root), ..Part::of(operation, "MPI_Ibcast") })?;
            }
        }
        Ok(())
    }

    fn post_reduce_scatter(
        &mut self,
        ticket: Ticket,
        reduction: Reduction,
        whole: ReadGuard,
        mut part: WriteGuard,
        bytes: &[usize],
    ) -> Result<()> {
        assert_eq!(bytes.len(), self.size(), "a reduction is scattered to all ranks");
        let total: usize = bytes.iter().sum();
        let here = self.rank();
        assert!(part.len() == bytes[here.index()] && whole.len() == total, "the lengths of a reduce-scatter disagree");
        assert!(bytes.iter().all(|bytes| bytes.is_multiple_of(8)), "a part of {bytes:?} bytes has a part of a word");
        let (given, result) = (aligned(&whole), words(&mut part));
        if total <= self.call_bytes_max {
            let counts = narrow(bytes, 8);
            // SAFETY: `enter` keeps the three buffers, whose contents do not move with their owners, until the
            // request is complete.
            let request = unsafe { self.session().reduce_scatter(given, result, &counts, number(reduction)) };
            let buffers = Buffers { _read: Some(whole), written: Some(part), _counts: counts, ..Buffers::default() };
            let operation = self.enter(ticket, buffers);
            return self.add(request, Part::of(operation, "MPI_Ireduce_scatter"));
        }
        // Counts of the whole might not fit: every rank is the root of its own part.
        let limit = self.call_bytes_max;
        let operation = self.enter(ticket, Buffers { _read: Some(whole), written: Some(part), ..Buffers::default() });
        for (root, (&bytes, offset)) in bytes.iter().zip(offsets(bytes)).enumerate() {
            let root = Rank::from(root);
            for (inner, bytes) in pieces(bytes, limit) {
                // SAFETY: as in `post_broadcast`, for the piece of the whole, and of the part on its own rank.
                let request = unsafe {
                    let piece = if root == here { result.add(inner) } else { std::ptr::null_mut() };
                    self.session().reduce(given.add(offset + inner), piece, bytes / 8, number(reduction), root)
                };
                self.add(request, Part { peer: Some(root), ..Part::of(operation, "MPI_Ireduce") })?;
            }
        }
        Ok(())
    }
}

/// The pieces of a collective: where each starts and how long it is; one, empty, for no bytes.
fn pieces(bytes: usize, limit: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..bytes.div_ceil(limit).max(1)).map(move |piece| (piece * limit, limit.min(bytes - piece * limit)))
}

/// The address of words to be combined.
fn words(data: &mut WriteGuard) -> *mut u8 {
    let _: &mut [i64] = data.of_mut(); // whole words, aligned
    data.as_mut_ptr()
}

/// The address of words to be read.
fn aligned(data: &ReadGuard) -> *const u8 {
    let _: &[i64] = data.of(); // whole words, aligned
    data.as_ptr()
}

/// Lengths in units of `unit` bytes, as MPI counts.
fn narrow(bytes: &[usize], unit: usize) -> Vec<i32> {
    bytes.iter().map(|&bytes| i32::try_from(bytes / unit).expect("at most 1 GiB in all")).collect()
}

/// The table's number.
fn number(reduction: Reduction) -> i32 {
    match reduction {
        Reduction::SumI64 => reduction::SUM_I64,
        Reduction::MaxI64 => reduction::MAX_I64,
        Reduction::MinI64 => reduction::MIN_I64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_cover_the_bytes() {
        for (bytes, expected) in [(0, vec![(0, 0)]), (7, vec![(0, 7)]), (8, vec![(0, 8)]), (9, vec![(0, 8), (8, 1)])] {
            assert_eq!(pieces(bytes, 8).collect::<Vec<_>>(), expected);
        }
    }
}

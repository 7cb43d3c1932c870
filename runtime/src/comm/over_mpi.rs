//! The transport between processes: MPI, through a plug-in.
//!
//! Invariant: `requests` and `parts` run side by side, and an operation stays in `operations`, with all its
//! buffers, until every request made for it is complete; MPI alone touches those buffers meanwhile.
//! A point-to-point message travels as full pieces of `call_bytes_max` bytes and a last one that is shorter,
//! maybe empty, so that a message of another length than the receiver expects is always noticed.
//! Never here: when to wait.

#![allow(unsafe_code, reason = "MPI holds addresses of blocks, under the invariant above")]

use super::transport::{Collective, Reduction, Ticket, Transport};
use crate::error::{Error, Result};
use crate::ids::{Rank, Tag};
use crate::memory::{ReadGuard, WriteGuard};
use crate::mpi::{self, Finished, Launcher, Session, reduction};
use std::path::Path;

/// More than this goes to MPI in several calls, whose counts and displacements are 32-bit integers.
const CALL_BYTES_MAX: usize = 1 << 30;

/// MPI as a transport.
#[derive(Debug)]
pub struct MpiTransport {
    /// `None` after `shut_down`.
    session: Option<Session>,
    requests: Vec<mpi::Request>,
    parts: Vec<Part>,
    operations: Vec<Option<Operation>>,
    /// The empty places in `operations`.
    vacant: Vec<usize>,
    /// Room for the results of a test.
    finished: Vec<Finished>,
    call_bytes_max: usize,
}

/// What a request is for.
#[derive(Clone, Copy, Debug)]
struct Part {
    operation: usize,
    /// How many bytes must come, for a receive.
    bytes_expected: Option<usize>,
}

#[derive(Debug)]
struct Operation {
    ticket: Ticket,
    call: &'static str,
    peer: Option<Rank>,
    unfinished: usize,
    failed: bool,
    _buffers: Buffers,
}

/// What MPI reads and writes until an operation is complete.
#[derive(Debug, Default)]
struct Buffers {
    _read: Option<ReadGuard>,
    _written: Option<WriteGuard>,
    _counts: Vec<i32>,
    _displacements: Vec<i32>,
}

impl MpiTransport {
    /// Joins or starts MPI; `plugins` is the directory of the plug-ins.
    ///
    /// `None` if this process is a world of its own: it has no launcher and nobody initialised MPI, or its launcher
    /// started a single rank and no plug-in can be loaded.
    /// Collective. To be called on the comm thread, which then makes all other calls.
    ///
    /// # Errors
    /// Local: `Error::Launch` if launcher, library and plug-ins do not fit, or if MPI was initialised by others
    /// with too low a thread level.
    pub fn open(plugins: &Path, launcher: Option<&Launcher>) -> Result<Option<MpiTransport>> {
        let session = Session::open(plugins, launcher)?;
        Ok(session.map(|session| MpiTransport {
            session: Some(session),
            requests: Vec::new(),
            parts: Vec::new(),
            operations: Vec::new(),
            vacant: Vec::new(),
            finished: Vec::new(),
            call_bytes_max: CALL_BYTES_MAX,
        }))
    }

    /// Splits what exceeds `bytes`, equally on all ranks; for tests of the splitting.
    ///
    /// # Panics
    /// If `bytes` is no positive multiple of 8, or above the default of 1 GiB.
    pub fn set_call_bytes_max(&mut self, bytes: usize) {
        assert!(bytes > 0 && bytes.is_multiple_of(8) && bytes <= CALL_BYTES_MAX, "{bytes} bytes to a call");
        self.call_bytes_max = bytes;
    }

    /// This rank's place among the ranks of its node.
    pub fn local_rank(&self) -> usize {
        self.session().local_rank()
    }

    /// The number of ranks on this node.
    pub fn local_size(&self) -> usize {
        self.session().local_size()
    }

    /// What each rank of this node gives, of any length, in the order of local ranks.
    /// Collective over the node; blocks, so it is for the start alone.
    ///
    /// # Errors
    /// Local: `Error::Transport`.
    pub fn gather_on_node(&self, part: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.session().gather_on_node(part)
    }

    /// The node's name, as MPI gives it.
    pub fn processor_name(&self) -> String {
        self.session().processor_name()
    }

    /// The MPI library's name and version.
    pub fn library_version(&self) -> String {
        self.session().library_version()
    }

    /// True if others (mpi4py) had initialised MPI, who will then finalise it too.
    pub fn joined(&self) -> bool {
        self.session().joined()
    }

    fn session(&self) -> &Session {
        self.session.as_ref().expect("a transport is not used after its end")
    }

    /// Enters an operation without requests, and gives its place.
    fn enter(&mut self, ticket: Ticket, call: &'static str, peer: Option<Rank>, buffers: Buffers) -> usize {
        let operation = Operation { ticket, call, peer, unfinished: 0, failed: false, _buffers: buffers };
        match self.vacant.pop() {
            Some(place) => {
                self.operations[place] = Some(operation);
                place
            }
            None => {
                self.operations.push(Some(operation));
                self.operations.len() - 1
            }
        }
    }

    /// Adds a request to an operation; an operation that gets none is given up.
    fn add(&mut self, place: usize, request: Result<mpi::Request>, bytes_expected: Option<usize>) -> Result<()> {
        let operation = self.operations[place].as_mut().expect("an operation being posted");
        match request {
            Ok(request) => {
                operation.unfinished += 1;
                self.requests.push(request);
                self.parts.push(Part { operation: place, bytes_expected });
                Ok(())
            }
            Err(error) => {
                operation.failed = true;
                if operation.unfinished == 0 {
                    self.leave(place);
                }
                Err(error)
            }
        }
    }

    /// Takes an operation out; its buffers are free when the result is dropped.
    fn leave(&mut self, place: usize) -> Option<Operation> {
        self.vacant.push(place);
        self.operations[place].take()
    }

    fn post_broadcast(&mut self, ticket: Ticket, root: Rank, mut data: WriteGuard) -> Result<()> {
        let (start, bytes, limit) = (data.as_mut_ptr(), data.len(), self.call_bytes_max);
        let buffers = Buffers { _written: Some(data), ..Buffers::default() };
        let place = self.enter(ticket, "MPI_Ibcast", Some(root), buffers);
        for (offset, bytes) in pieces(bytes, limit) {
            // SAFETY: the piece lies within the block, which `enter` keeps until the request is complete.
            let request = unsafe { self.session().broadcast(start.add(offset), bytes, root) };
            self.add(place, request, None)?;
        }
        Ok(())
    }

    fn post_all_reduce(&mut self, ticket: Ticket, reduction: Reduction, mut data: WriteGuard) -> Result<()> {
        assert!(data.len().is_multiple_of(8), "a reduction of {} bytes has a part of a word", data.len());
        let (start, bytes, limit) = (data.as_mut_ptr(), data.len(), self.call_bytes_max);
        assert_eq!(start.align_offset(8), 0, "a reduction of words that are not aligned");
        let operation = match reduction {
            Reduction::SumI64 => reduction::SUM_I64,
            Reduction::MaxI64 => reduction::MAX_I64,
        };
        let buffers = Buffers { _written: Some(data), ..Buffers::default() };
        let place = self.enter(ticket, "MPI_Iallreduce", None, buffers);
        for (offset, bytes) in pieces(bytes, limit) {
            // SAFETY: as in `post_broadcast`; the limit is a multiple of the word.
            let request = unsafe { self.session().all_reduce(start.add(offset), bytes / 8, operation) };
            self.add(place, request, None)?;
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
        let offsets = bytes.iter().scan(0, |end, &bytes| {
            *end += bytes;
            Some(*end - bytes)
        });
        let offsets: Vec<usize> = offsets.collect();
        if total > self.call_bytes_max {
            whole[offsets[here]..][..part.len()].copy_from_slice(&part);
            return self.post_gather_by_broadcasts(ticket, whole, bytes, &offsets);
        }
        let narrow = |&bytes: &usize| i32::try_from(bytes).expect("at most 1 GiB in all");
        let counts: Vec<i32> = bytes.iter().map(narrow).collect();
        let displacements: Vec<i32> = offsets.iter().map(narrow).collect();
        // SAFETY: `enter` keeps all four buffers, whose contents do not move with their owners, until the
        // request is complete.
        let request = unsafe { self.session().all_gather(part.as_ptr(), whole.as_mut_ptr(), &counts, &displacements) };
        let buffers =
            Buffers { _read: Some(part), _written: Some(whole), _counts: counts, _displacements: displacements };
        let place = self.enter(ticket, "MPI_Iallgatherv", None, buffers);
        self.add(place, request, None)
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
        let buffers = Buffers { _written: Some(whole), ..Buffers::default() };
        let place = self.enter(ticket, "MPI_Ibcast", None, buffers);
        for (root, (&bytes, &offset)) in bytes.iter().zip(offsets).enumerate() {
            for (inner, bytes) in pieces(bytes, limit) {
                // SAFETY: as in `post_broadcast`; the pieces are disjoint.
                let request = unsafe { self.session().broadcast(start.add(offset + inner), bytes, Rank::from(root)) };
                self.add(place, request, None)?;
            }
        }
        Ok(())
    }

    /// Takes note of a completed request; its operation's ticket is done with its last request.
    fn complete(&mut self, finished: Finished, done: &mut Vec<Ticket>) -> Result<()> {
        let index = usize::try_from(finished.index).expect("an index of this machine");
        self.requests.swap_remove(index);
        let part = self.parts.swap_remove(index);
        let operation = self.operations[part.operation].as_mut().expect("an operation with a request");
        let (call, peer) = (operation.call, operation.peer);
        let result = self.session.as_ref().expect("checked by `progress`").check(call, peer, finished.code);
        let result = result.and_then(|()| match part.bytes_expected {
            Some(expected) if expected as u64 != finished.bytes => {
                let message = format!("{} bytes came where {expected} were expected", finished.bytes);
                Err(Error::Transport { rank: self.rank(), call, peer, message })
            }
            _ => Ok(()),
        });
        let operation = self.operations[part.operation].as_mut().expect("found above");
        operation.unfinished -= 1;
        operation.failed |= result.is_err();
        if operation.unfinished == 0
            && let Some(operation) = self.leave(part.operation)
            && !operation.failed
        {
            done.push(operation.ticket);
        }
        result
    }
}

/// The pieces of a collective: where each starts and how long it is; one, empty, for no bytes.
fn pieces(bytes: usize, limit: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..bytes.div_ceil(limit).max(1)).map(move |piece| (piece * limit, limit.min(bytes - piece * limit)))
}

/// The pieces of a message: as many full ones as there are, and a shorter one that ends it.
fn pieces_with_end(bytes: usize, limit: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..=bytes / limit).map(move |piece| (piece * limit, limit.min(bytes - piece * limit)))
}

impl Transport for MpiTransport {
    fn rank(&self) -> Rank {
        self.session().rank()
    }

    fn size(&self) -> usize {
        self.session().size()
    }

    fn post_send(&mut self, ticket: Ticket, to: Rank, tag: Tag, data: ReadGuard) -> Result<()> {
        let (start, bytes, limit) = (data.as_ptr(), data.len(), self.call_bytes_max);
        let buffers = Buffers { _read: Some(data), ..Buffers::default() };
        let place = self.enter(ticket, "MPI_Isend", Some(to), buffers);
        for (offset, bytes) in pieces_with_end(bytes, limit) {
            // SAFETY: the piece lies within the block, which `enter` keeps until the request is complete.
            let request = unsafe { self.session().send(start.add(offset), bytes, to, tag) };
            self.add(place, request, None)?;
        }
        Ok(())
    }

    fn post_receive(&mut self, ticket: Ticket, from: Rank, tag: Tag, mut data: WriteGuard) -> Result<()> {
        let (start, bytes, limit) = (data.as_mut_ptr(), data.len(), self.call_bytes_max);
        let buffers = Buffers { _written: Some(data), ..Buffers::default() };
        let place = self.enter(ticket, "MPI_Irecv", Some(from), buffers);
        for (offset, bytes) in pieces_with_end(bytes, limit) {
            // SAFETY: the piece lies within the block, which `enter` keeps until the request is complete.
            let request = unsafe { self.session().receive(start.add(offset), bytes, from, tag) };
            self.add(place, request, Some(bytes))?;
        }
        Ok(())
    }

    fn post_collective(&mut self, ticket: Ticket, collective: Collective) -> Result<()> {
        match collective {
            Collective::Barrier => {
                let place = self.enter(ticket, "MPI_Ibarrier", None, Buffers::default());
                let request = self.session().barrier();
                self.add(place, request, None)
            }
            Collective::Broadcast { root, data } => self.post_broadcast(ticket, root, data),
            Collective::AllReduce { reduction, data } => self.post_all_reduce(ticket, reduction, data),
            Collective::AllGather { part, whole, bytes } => self.post_all_gather(ticket, part, whole, &bytes),
        }
    }

    fn progress(&mut self, done: &mut Vec<Ticket>) -> Result<()> {
        if self.requests.is_empty() {
            return Ok(());
        }
        let mut finished = std::mem::take(&mut self.finished);
        let session = self.session.as_ref().expect("a transport is not used after its end");
        let mut result = session.test(&mut self.requests, &mut finished);
        // From the last to the first, so that what `swap_remove` moves has been looked at already.
        finished.sort_unstable_by_key(|finished| std::cmp::Reverse(finished.index));
        for &one in &finished {
            result = result.and(self.complete(one, done));
        }
        self.finished = finished;
        result
    }

    fn shut_down(&mut self) {
        let Some(session) = self.session.take() else { return };
        if !self.requests.is_empty() {
            // The other ranks would wait for ever in MPI_Finalize for what was never completed.
            session.abort(1);
            return;
        }
        session.close();
    }

    fn abort(&mut self, status: i32) {
        if let Some(session) = &self.session {
            session.abort(status);
        }
    }
}

impl Drop for MpiTransport {
    fn drop(&mut self) {
        if !self.requests.is_empty() {
            // MPI may still touch these blocks, so nobody gets them back.
            std::mem::forget(std::mem::take(&mut self.operations));
        }
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

    #[test]
    fn a_message_ends_with_a_short_piece() {
        let full = (0, 8);
        for (bytes, expected) in
            [(0, vec![(0, 0)]), (7, vec![(0, 7)]), (8, vec![full, (8, 0)]), (9, vec![full, (8, 1)])]
        {
            assert_eq!(pieces_with_end(bytes, 8).collect::<Vec<_>>(), expected);
        }
    }
}

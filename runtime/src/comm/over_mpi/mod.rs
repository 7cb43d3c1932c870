//! The transport between processes: MPI, through a plug-in.
//!
//! Invariant: `requests` and `parts` run side by side, and an operation stays in `operations`, with all its
//! buffers, until every request made for it is complete; MPI alone touches those buffers meanwhile.
//! A point-to-point message travels as full pieces of `call_bytes_max` bytes and a last one that is shorter,
//! maybe empty, so that a message of another length than the receiver expects is noticed; short ones share packets,
//! or go through rings in memory that the ranks of a node share.
//! Never here: when to wait.

#![allow(unsafe_code, reason = "MPI holds addresses of blocks, under the invariant above")]

mod collectives;
mod exchange;
mod packets;
mod panels;
mod rings;
mod short_sums;

use super::board::Board;
use super::collective::Collective;
use super::transport::{Ticket, Transport};
use crate::error::{Error, Result};
use crate::ids::{Rank, Tag};
use crate::memory::{ReadGuard, WriteGuard};
use crate::mpi::{self, Finished, Lane, Launcher, Session};
use exchange::Exchange;
use packets::{Packet, Packets};
use panels::{Panels, Role};
use rings::Rings;
use short_sums::ShortSums;
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
    /// Tickets of operations for which MPI had nothing to do.
    done_at_once: Vec<Ticket>,
    call_bytes_max: usize,
    /// Room of an all-reduce in panels, for the next one.
    slots: Vec<Vec<i64>>,
    packets: Packets,
    rings: Rings,
    short_sums: ShortSums,
    /// Tags taken by collectives that are exchanges of messages.
    exchanges: u32,
}

/// What a request is for.
#[derive(Clone, Copy, Debug)]
struct Part {
    operation: usize,
    call: &'static str,
    peer: Option<Rank>,
    /// How many bytes must come, for a receive.
    bytes_expected: Option<usize>,
    role: Role,
}

impl Part {
    /// A part without a peer and without a length.
    fn of(operation: usize, call: &'static str) -> Part {
        Part { operation, call, peer: None, bytes_expected: None, role: Role::Plain }
    }
}

#[derive(Debug)]
struct Operation {
    /// None for a packet, which has those of its messages.
    ticket: Option<Ticket>,
    unfinished: usize,
    failed: bool,
    /// What is not posted.
    rest: Option<Rest>,
    /// What to write when all is done, where MPI leaves words without meaning.
    fill: Option<i64>,
    buffers: Buffers,
}

/// What goes on as requests complete.
#[derive(Debug)]
enum Rest {
    Exchange(Exchange),
    Panels(Box<Panels>),
}

/// What MPI reads and writes until an operation is complete.
#[derive(Debug, Default)]
struct Buffers {
    _read: Option<ReadGuard>,
    written: Option<WriteGuard>,
    _counts: Vec<i32>,
    _displacements: Vec<i32>,
    /// Room for shares of panels.
    slots: Vec<Vec<i64>>,
    packet: Option<Packet>,
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
        let Some(mut session) = Session::open(plugins, launcher)? else { return Ok(None) };
        Ok(Some(MpiTransport {
            packets: Packets::new(session.size()),
            rings: Rings::open(&mut session)?,
            short_sums: ShortSums::default(),
            session: Some(session),
            requests: Vec::new(),
            parts: Vec::new(),
            operations: Vec::new(),
            vacant: Vec::new(),
            finished: Vec::new(),
            done_at_once: Vec::new(),
            call_bytes_max: CALL_BYTES_MAX,
            slots: Vec::new(),
            exchanges: 0,
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
    fn enter(&mut self, ticket: impl Into<Option<Ticket>>, buffers: Buffers) -> usize {
        let operation =
            Operation { ticket: ticket.into(), unfinished: 0, failed: false, rest: None, fill: None, buffers };
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
    fn add(&mut self, request: Result<mpi::Request>, part: Part) -> Result<()> {
        let operation = self.operations[part.operation].as_mut().expect("an operation being posted");
        match request {
            Ok(request) => {
                operation.unfinished += 1;
                self.requests.push(request);
                self.parts.push(part);
                Ok(())
            }
            Err(error) => {
                operation.failed = true;
                operation.rest = None;
                if operation.unfinished == 0 {
                    self.leave(part.operation);
                }
                Err(error)
            }
        }
    }

    fn operation(&mut self, place: usize) -> &mut Operation {
        self.operations[place].as_mut().expect("an operation that is not complete")
    }

    /// Takes an operation out; its buffers are free when the result is dropped.
    fn leave(&mut self, place: usize) -> Option<Operation> {
        self.vacant.push(place);
        self.operations[place].take()
    }

    /// As [`MpiTransport::settle`] for an operation just posted; it is told of at the next test.
    fn settle_posted(&mut self, place: usize) {
        let mut done = std::mem::take(&mut self.done_at_once);
        self.settle(place, &mut done);
        self.done_at_once = done;
    }

    /// Takes note of a completed request; its operation's ticket is done with its last request.
    fn complete(&mut self, finished: Finished, done: &mut Vec<Ticket>) -> Result<()> {
        let index = usize::try_from(finished.index).expect("an index of this machine");
        self.requests.swap_remove(index);
        let part = self.parts.swap_remove(index);
        let result = self.session().check(part.call, part.peer, finished.code);
        let mut result = result.and_then(|()| match part.bytes_expected {
            Some(expected) if expected as u64 != finished.bytes => {
                let message = format!("{} bytes came where {expected} were expected", finished.bytes);
                Err(Error::Transport { rank: self.rank(), call: part.call, peer: part.peer, message })
            }
            _ => Ok(()),
        });
        let operation = self.operations[part.operation].as_mut().expect("an operation with a request");
        operation.unfinished -= 1;
        if result.is_err() {
            operation.failed = true;
            operation.rest = None;
        }
        if let (Role::Packet { from }, true) = (part.role, result.is_ok()) {
            result = self.open_packet(part.operation, from, finished.bytes as usize, done);
        }
        match self.operation(part.operation).rest {
            Some(Rest::Exchange(_)) => result = self.advance(part.operation),
            Some(Rest::Panels(_)) => result = self.advance_panels(part.operation, part.role),
            None => {}
        }
        self.settle(part.operation, done);
        result
    }

    /// Ends an operation of which nothing is left.
    fn settle(&mut self, place: usize, done: &mut Vec<Ticket>) {
        let finished = |operation: &Operation| operation.unfinished == 0 && operation.rest.is_none();
        if self.operations[place].as_ref().is_some_and(finished)
            && let Some(mut operation) = self.leave(place)
        {
            let slots = std::mem::take(&mut operation.buffers.slots);
            if !slots.is_empty() {
                self.slots = slots;
            }
            if operation.failed {
                return;
            }
            if let (Some(word), Some(data)) = (operation.fill, &mut operation.buffers.written) {
                data.of_mut().fill(word);
            }
            done.extend(operation.ticket);
            if let Some(mut packet) = operation.buffers.packet.take() {
                done.append(&mut packet.tickets);
                self.packets.take_back(packet);
            }
        }
    }
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

    fn any_thread(&self) -> bool {
        self.session().any_thread()
    }

    fn board(&mut self) -> Option<Board> {
        self.rings.board.take()
    }

    fn post_send(&mut self, ticket: Ticket, to: Rank, tag: Tag, data: ReadGuard) -> Result<()> {
        if self.is_short(data.len(), to) {
            return self.post_short_send(ticket, to, tag, &data);
        }
        let (start, bytes, limit) = (data.as_ptr(), data.len(), self.call_bytes_max);
        let operation = self.enter(ticket, Buffers { _read: Some(data), ..Buffers::default() });
        let part = Part { peer: Some(to), ..Part::of(operation, "MPI_Isend") };
        for (offset, bytes) in pieces_with_end(bytes, limit) {
            // SAFETY: the piece lies within the block, which `enter` keeps until the request is complete.
            let request = unsafe { self.session().send(Lane::Messages, start.add(offset), bytes, to, tag) };
            self.add(request, part)?;
        }
        Ok(())
    }

    fn send_now(&mut self, to: Rank, tag: Tag, bytes: &[u8]) -> bool {
        self.is_short(bytes.len(), to) && self.rings.write(to, tag, bytes)
    }

    fn post_receive(&mut self, ticket: Ticket, from: Rank, tag: Tag, mut data: WriteGuard) -> Result<()> {
        if self.is_short(data.len(), from) {
            return self.post_short_receive(ticket, from, tag, data);
        }
        let (start, bytes, limit) = (data.as_mut_ptr(), data.len(), self.call_bytes_max);
        let operation = self.enter(ticket, Buffers { written: Some(data), ..Buffers::default() });
        for (offset, bytes) in pieces_with_end(bytes, limit) {
            let part = Part { peer: Some(from), bytes_expected: Some(bytes), ..Part::of(operation, "MPI_Irecv") };
            // SAFETY: the piece lies within the block, which `enter` keeps until the request is complete.
            let request = unsafe { self.session().receive(Lane::Messages, start.add(offset), bytes, from, tag) };
            self.add(request, part)?;
        }
        Ok(())
    }

    fn post_collective(&mut self, ticket: Ticket, collective: Collective) -> Result<()> {
        self.start_collective(ticket, collective)
    }

    fn progress(&mut self, done: &mut Vec<Ticket>) -> Result<bool> {
        self.send_packets()?;
        done.append(&mut self.done_at_once);
        let came = self.look_at_rings(done)?;
        if self.requests.is_empty() {
            return Ok(came || !done.is_empty());
        }
        let mut finished = std::mem::take(&mut self.finished);
        let session = self.session.as_ref().expect("a transport is not used after its end");
        let (completed, mut result) = session.test(&mut self.requests, &mut finished);
        let of_test = &mut finished[..completed];
        // From the last to the first, so that what `swap_remove` moves has been looked at already.
        of_test.sort_unstable_by_key(|finished| std::cmp::Reverse(finished.index));
        for &one in &*of_test {
            result = result.and(self.complete(one, done));
        }
        let moved = came || !done.is_empty() || completed > 0;
        self.finished = finished;
        result.map(|()| moved)
    }

    fn shut_down(&mut self) {
        let Some(session) = self.session.take() else { return };
        let left_behind = !self.requests.is_empty() || self.has_packets() || self.rings.is_waiting();
        // They lie in memory that ends with the session.
        self.rings = Rings::default();
        if left_behind {
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
    fn a_message_ends_with_a_short_piece() {
        let full = (0, 8);
        for (bytes, expected) in
            [(0, vec![(0, 0)]), (7, vec![(0, 7)]), (8, vec![full, (8, 0)]), (9, vec![full, (8, 1)])]
        {
            assert_eq!(pieces_with_end(bytes, 8).collect::<Vec<_>>(), expected);
        }
    }
}

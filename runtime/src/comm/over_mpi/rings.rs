//! Short messages between ranks of one node: through rings in memory that they share, past MPI.
//!
//! A message to a rank with a ring is written there when it is posted and has then left; while the ring is full it
//! waits in a backlog, behind which later ones wait too. A ring is read only while something is wanted from its
//! writer, so that a rank which is ahead is held up by its own rings, and what comes before it is wanted is bounded by
//! them.
//! Invariant: a ring has one writer and one reader, which a rank's one driver is on either side.

#![allow(unsafe_code, reason = "memory that the ranks of a node share becomes lines here, under the invariant above")]

use super::MpiTransport;
use super::short_sums::is_of_sum;
use crate::comm::board::{self, Board, Place};
use crate::comm::ring::{Line, RingReader, RingWriter};
use crate::comm::transport::Ticket;
use crate::error::Result;
use crate::ids::{Rank, Tag};
use crate::mpi::Session;
use std::collections::VecDeque;
use std::ptr::NonNull;

/// Lines of all rings of a node together, 16 MiB; and of one.
const LINES_OF_NODE: usize = 1 << 18;
const LINES_MAX: usize = 512;
/// A ring holds the longest short message twice.
const LINES_MIN: usize = 32;

/// The rings to and from one rank.
#[derive(Debug)]
struct Pair {
    peer: Rank,
    to: RingWriter<'static>,
    from: RingReader<'static>,
    /// What found no room, in order.
    backlog: VecDeque<(Option<Ticket>, Tag, Vec<u8>)>,
}

/// The rings of this rank.
#[derive(Debug, Default)]
pub(super) struct Rings {
    pairs: Vec<Pair>,
    /// By rank: its place in `pairs`.
    places: Vec<Option<usize>>,
    /// Messages in backlogs.
    waiting: usize,
    /// Room for a message that is read.
    bytes: Vec<u8>,
    pub(super) board: Option<Board>,
}

impl Rings {
    /// Rings with all other ranks of this node; none where they cannot be had. Collective over the node; blocks.
    pub(super) fn open(session: &mut Session) -> Result<Rings> {
        let (here, ranks) = (session.local_rank(), session.local_size());
        let lines = (LINES_OF_NODE / (ranks * ranks)).min(LINES_MAX);
        let mut rings = Rings { places: vec![None; session.size()], ..Rings::default() };
        if ranks < 2 || lines < LINES_MIN {
            return Ok(rings);
        }
        // A power of two for messages, and one for the reader.
        let lines = (1 << lines.ilog2()) + 1;
        let peers = session.gather_on_node(&session.rank().0.to_ne_bytes())?;
        let Some(parts) = session.share_on_node((ranks * lines + board::LINES) * size_of::<Line>())? else {
            return Ok(rings);
        };
        let part = |owner: usize, first: usize, lines: usize| {
            let start: NonNull<Line> = parts[owner].cast();
            // SAFETY: every rank's part begins on a line, and holds a ring for each rank and the lines of a note.
            let start = unsafe { start.add(first) };
            // SAFETY: zeros are lines of atomic words, which all ranks may share; they stay until the session is
            // closed, before which the transport drops these, and whoever has the board gives it back.
            unsafe { std::slice::from_raw_parts(start.as_ptr(), lines) }
        };
        let ring = |reader: usize, writer: usize| part(reader, writer * lines, lines);
        let note = |owner: usize| Place::Shared(part(owner, ranks * lines, board::LINES));
        let mut notes = Vec::new();
        for (place, peer) in peers.iter().enumerate().filter(|(place, _)| *place != here) {
            let peer = Rank(u32::from_ne_bytes(peer[..].try_into().expect("a rank is four bytes")));
            notes.push((peer, note(place)));
            rings.places[peer.index()] = Some(rings.pairs.len());
            let (to, from) = (RingWriter::new(ring(place, here)), RingReader::new(ring(here, place)));
            rings.pairs.push(Pair { peer, to, from, backlog: VecDeque::new() });
        }
        rings.board = Some(Board::new(note(here), notes));
        Ok(rings)
    }

    /// True for a rank that short messages reach through a ring.
    pub(super) fn reach(&self, peer: Rank) -> bool {
        self.places[peer.index()].is_some()
    }

    /// True if all other ranks have rings.
    pub(super) fn reach_all(&self) -> bool {
        self.pairs.len() + 1 == self.places.len()
    }

    /// The longest message of a ring, if this rank has rings; alike on all ranks of a node.
    pub(super) fn message_bytes_max(&self) -> usize {
        self.pairs.first().map_or(0, |pair| pair.to.message_bytes_max())
    }

    /// True if something waits for room.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Writes a message if `to` has a ring with room.
    pub(super) fn write(&mut self, to: Rank, tag: Tag, bytes: &[u8]) -> bool {
        let Some(place) = self.places[to.index()] else { return false };
        let Pair { to, backlog, .. } = &mut self.pairs[place];
        backlog.is_empty() && to.write(tag, bytes)
    }

    /// Keeps a message to a rank with a ring until there is room.
    pub(super) fn keep(&mut self, ticket: Option<Ticket>, to: Rank, tag: Tag, bytes: &[u8]) {
        let place = self.places[to.index()].expect("a rank with a ring");
        self.pairs[place].backlog.push_back((ticket, tag, bytes.to_vec()));
        self.waiting += 1;
    }

    /// Writes what there is room for by now.
    fn write_backlogs(&mut self, done: &mut Vec<Ticket>) {
        for Pair { to, backlog, .. } in &mut self.pairs {
            while let Some((ticket, tag, bytes)) = backlog.front()
                && to.write(*tag, bytes)
            {
                done.extend(*ticket);
                backlog.pop_front();
                self.waiting -= 1;
            }
        }
    }
}

impl MpiTransport {
    /// Moves the rings on; true if a message came, whether or not it was wanted.
    pub(super) fn look_at_rings(&mut self, done: &mut Vec<Ticket>) -> Result<bool> {
        if self.rings.waiting > 0 {
            self.rings.write_backlogs(done);
        }
        let (mut came, mut result) = (false, Ok(()));
        let mut bytes = std::mem::take(&mut self.rings.bytes);
        for place in 0..self.rings.pairs.len() {
            let peer = self.rings.pairs[place].peer;
            while (self.short_sums.wants_words() || self.packets.is_wanted_from(peer))
                && let Some(tag) = self.rings.pairs[place].from.read(&mut bytes)
            {
                came = true;
                if is_of_sum(tag) {
                    result = result.and(self.take_words(tag, &bytes));
                    continue;
                }
                match self.packets.deliver(peer, tag, &bytes) {
                    Ok(ticket) => done.extend(ticket),
                    Err(expected) => result = result.and(Err(self.wrong_length(peer, bytes.len(), expected))),
                }
            }
        }
        done.append(&mut self.done_at_once);
        self.rings.bytes = bytes;
        result.map(|()| came)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of the file beside, which models compile too.
    fn lines(count: usize) -> Vec<Line> {
        (0..count).map(|_| Line(Default::default())).collect()
    }

    /// Messages of these lengths, as many as fit at a time, come out as they went in, for many laps.
    #[track_caller]
    fn check(lengths: &[usize], ring: usize) {
        let lines = lines(ring + 1);
        let (mut writer, mut reader) = (RingWriter::new(&lines), RingReader::new(&lines));
        let message = |number: usize| -> Vec<u8> {
            (0..lengths[number % lengths.len()]).map(|byte| (byte * 7 + number) as u8).collect()
        };
        let (mut sent, mut received, mut bytes) = (0, 0, Vec::new());
        while received < 40 * ring {
            while writer.write(Tag(sent as u32 % 30_000), &message(sent)) {
                sent += 1;
            }
            assert!(sent > received, "a ring that was read has no room");
            while let Some(tag) = reader.read(&mut bytes) {
                assert_eq!((tag, &bytes), (Tag(received as u32 % 30_000), &message(received)));
                received += 1;
            }
            assert_eq!(received, sent);
        }
    }

    #[test]
    fn messages_of_all_lengths_come_in_order_for_many_laps() {
        check(&[16], 32);
        check(&[0, 1, 7, 8, 9, 55, 56, 57, 112, 113, 300, 512], 32);
        check(&[512], 32);
        check(&[100, 3], 4);
    }

    #[test]
    fn an_empty_ring_has_nothing_to_read() {
        let lines = lines(5);
        assert_eq!(RingReader::new(&lines).read(&mut Vec::new()), None);
    }
}

//! Short messages over MPI, to ranks without a ring: what goes to one rank between two tests travels in one packet.
//!
//! A short message is copied into the packet of its receiver, which leaves at the next test or when it is full; there
//! each message is copied to the receive with its tag, or kept until that is posted. So MPI sees one call for many
//! messages, and one open request for each rank that something is wanted from.
//! Invariant 1: sender and receiver know a message's length, so both take it for short or neither does; one that is
//! short on one side alone is never matched. Graphs of which all ranks have one fingerprint cannot do that.
//! Invariant 2: a packet is being received from a rank if and only if a short message from it is wanted. So none is
//! when nothing is outstanding, and every packet is received by then, because each message in it was wanted.
//! Invariant 3: messages with one sender and tag are matched in the order of both sides: packets come in order, and
//! what is kept is looked at before anything new is wanted.

#![allow(unsafe_code, reason = "MPI holds addresses of packets until their request completes")]

use super::panels::Role;
use super::{Buffers, MpiTransport, Part};
use crate::comm::transport::{Ticket, Transport};
use crate::error::{Error, Result};
use crate::ids::{Rank, Tag};
use crate::memory::{ReadGuard, WriteGuard};
use crate::mpi::Lane;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// A message up to this length is short; fewer where calls are shorter.
const SHORT_BYTES_MAX: usize = 512;
/// With the headers of MPI below the eager limit of every transport of Open MPI and MPICH.
const PACKET_BYTES: usize = 3840;
/// Tag and length of a message.
const HEADER_BYTES: usize = 8;

/// Bytes on their way to or from a rank, with the sends that end when they have left.
#[derive(Debug, Default)]
pub(super) struct Packet {
    bytes: Vec<u8>,
    pub(super) tickets: Vec<Ticket>,
}

/// Short messages that wait for something.
#[derive(Debug, Default)]
pub(super) struct Packets {
    /// By rank: what leaves next. Those that are not empty.
    leaving: Vec<Packet>,
    filled: Vec<Rank>,
    wanted: HashMap<Key, Wanted, BuildHasherDefault<Mixed>>,
    /// Messages that came before they were wanted.
    kept: HashMap<Key, VecDeque<Vec<u8>>, BuildHasherDefault<Mixed>>,
    /// By rank: how many messages are wanted from it, and whether a packet is being received.
    wanted_from: Vec<(usize, bool)>,
    spare: Vec<Packet>,
}

/// The receives with one sender and tag, in the order of their posts.
#[derive(Debug)]
struct Wanted {
    first: (Ticket, WriteGuard),
    more: VecDeque<(Ticket, WriteGuard)>,
}

/// Sender and tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key(u64);

impl Key {
    fn new(from: Rank, tag: Tag) -> Key {
        Key(u64::from(from.0) << 32 | u64::from(tag.0))
    }
}

/// Spreads keys, which are small numbers of our own, by one product.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Packets {
    pub(super) fn new(ranks: usize) -> Packets {
        let leaving = (0..ranks).map(|_| Packet::default()).collect();
        Packets { leaving, wanted_from: vec![(0, false); ranks], ..Packets::default() }
    }

    /// Gives a packet without tickets back for the next use.
    pub(super) fn take_back(&mut self, packet: Packet) {
        self.spare.push(packet);
    }

    /// True while a receive from this rank is open.
    pub(super) fn is_wanted_from(&self, from: Rank) -> bool {
        self.wanted_from[from.index()].0 > 0
    }

    /// A message has come: to the receive that wants it, whose ticket is returned, or to be kept.
    pub(super) fn deliver(&mut self, from: Rank, tag: Tag, bytes: &[u8]) -> std::result::Result<Option<Ticket>, usize> {
        let key = Key::new(from, tag);
        let Some(wanted) = self.wanted.get_mut(&key) else {
            self.kept.entry(key).or_default().push_back(bytes.to_vec());
            return Ok(None);
        };
        let receive = match wanted.more.pop_front() {
            Some(next) => std::mem::replace(&mut wanted.first, next),
            None => self.wanted.remove(&key).expect("looked up above").first,
        };
        self.wanted_from[from.index()].0 -= 1;
        fill(receive, bytes).map(Some)
    }

    /// The oldest message that came before it was wanted.
    fn take_kept(&mut self, key: Key) -> Option<Vec<u8>> {
        // Most often nothing is kept at all.
        if self.kept.is_empty() {
            return None;
        }
        let kept = self.kept.get_mut(&key)?;
        let bytes = kept.pop_front();
        if kept.is_empty() {
            self.kept.remove(&key);
        }
        bytes
    }
}

/// Ends a receive; what it expected if that is another length.
fn fill((ticket, mut data): (Ticket, WriteGuard), bytes: &[u8]) -> std::result::Result<Ticket, usize> {
    if data.len() != bytes.len() {
        return Err(data.len());
    }
    data.copy_from_slice(bytes);
    Ok(ticket)
}

impl MpiTransport {
    /// True for a message to or from a rank of this world that goes in a packet.
    pub(super) fn is_short(&self, bytes: usize, peer: Rank) -> bool {
        // A quarter, so that tests of the splitting still split.
        bytes <= SHORT_BYTES_MAX.min(self.call_bytes_max / 4) && peer.index() < self.size()
    }

    pub(super) fn post_short_send(&mut self, ticket: Ticket, to: Rank, tag: Tag, data: &ReadGuard) -> Result<()> {
        if self.rings.reach(to) {
            match self.rings.write(to, tag, data) {
                true => self.done_at_once.push(ticket),
                false => self.rings.keep(Some(ticket), to, tag, data),
            }
            return Ok(());
        }
        if self.packets.leaving[to.index()].bytes.len() + HEADER_BYTES + data.len() > PACKET_BYTES {
            self.packets.filled.retain(|&rank| rank != to);
            self.send_packet(to)?;
        }
        let Packet { bytes, tickets } = &mut self.packets.leaving[to.index()];
        if bytes.is_empty() {
            self.packets.filled.push(to);
        }
        bytes.extend_from_slice(&tag.0.to_ne_bytes());
        bytes.extend_from_slice(&(data.len() as u32).to_ne_bytes());
        bytes.extend_from_slice(data);
        tickets.push(ticket);
        Ok(())
    }

    pub(super) fn post_short_receive(&mut self, ticket: Ticket, from: Rank, tag: Tag, data: WriteGuard) -> Result<()> {
        let key = Key::new(from, tag);
        if let Some(bytes) = self.packets.take_kept(key) {
            let ended = fill((ticket, data), &bytes);
            self.done_at_once.push(ended.map_err(|expected| self.wrong_length(from, bytes.len(), expected))?);
            return Ok(());
        }
        match self.packets.wanted.get_mut(&key) {
            Some(wanted) => wanted.more.push_back((ticket, data)),
            None => {
                self.packets.wanted.insert(key, Wanted { first: (ticket, data), more: VecDeque::new() });
            }
        }
        self.packets.wanted_from[from.index()].0 += 1;
        self.want_packet(from)
    }

    /// True if something waits to leave.
    pub(super) fn has_packets(&self) -> bool {
        !self.packets.filled.is_empty()
    }

    /// Sends every packet that is not empty.
    pub(super) fn send_packets(&mut self) -> Result<()> {
        while let Some(to) = self.packets.filled.pop() {
            self.send_packet(to)?;
        }
        Ok(())
    }

    fn send_packet(&mut self, to: Rank) -> Result<()> {
        let mut empty = self.packets.spare.pop().unwrap_or_default();
        empty.bytes.clear();
        let packet = std::mem::replace(&mut self.packets.leaving[to.index()], empty);
        let (start, bytes) = (packet.bytes.as_ptr(), packet.bytes.len());
        let operation = self.enter(None, Buffers { packet: Some(packet), ..Buffers::default() });
        // SAFETY: the bytes lie in the packet's own memory, which `enter` keeps until the request is complete.
        let request = unsafe { self.session().send(Lane::Messages, start, bytes, to, Tag::PACKET) };
        self.add(request, Part { peer: Some(to), ..Part::of(operation, "MPI_Isend") })
    }

    /// Begins to receive a packet if a message is wanted and none is being received.
    fn want_packet(&mut self, from: Rank) -> Result<()> {
        let (wanted, receiving) = &mut self.packets.wanted_from[from.index()];
        if *wanted == 0 || *receiving || self.rings.reach(from) {
            return Ok(());
        }
        *receiving = true;
        let mut packet = self.packets.spare.pop().unwrap_or_default();
        packet.bytes.resize(PACKET_BYTES, 0);
        let start = packet.bytes.as_mut_ptr();
        let operation = self.enter(None, Buffers { packet: Some(packet), ..Buffers::default() });
        // SAFETY: as in `send_packet`, and nobody reads the bytes before `open_packet`.
        let request = unsafe { self.session().receive(Lane::Messages, start, PACKET_BYTES, from, Tag::PACKET) };
        self.add(request, Part { peer: Some(from), role: Role::Packet { from }, ..Part::of(operation, "MPI_Irecv") })
    }

    /// A packet has come: delivers its messages, and begins to receive the next if more are wanted.
    pub(super) fn open_packet(
        &mut self,
        operation: usize,
        from: Rank,
        length: usize,
        done: &mut Vec<Ticket>,
    ) -> Result<()> {
        let packet = self.operation(operation).buffers.packet.take().expect("a packet was received");
        self.packets.wanted_from[from.index()].1 = false;
        let mut result = Ok(());
        let mut rest = &packet.bytes[..length];
        while let Some((header, behind)) = rest.split_first_chunk::<HEADER_BYTES>() {
            let [tag, bytes] = [0, 4].map(|at| u32::from_ne_bytes(header[at..at + 4].try_into().expect("four bytes")));
            let (message, behind) = behind.split_at(bytes as usize);
            rest = behind;
            match self.packets.deliver(from, Tag(tag), message) {
                Ok(ticket) => done.extend(ticket),
                Err(expected) => result = result.and(Err(self.wrong_length(from, message.len(), expected))),
            }
        }
        self.packets.take_back(packet);
        self.want_packet(from).and(result)
    }

    pub(super) fn wrong_length(&self, from: Rank, came: usize, expected: usize) -> Error {
        let message = format!("{came} bytes came where {expected} were expected");
        Error::Transport { rank: self.rank(), call: "MPI_Irecv", peer: Some(from), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[test]
    fn messages_of_one_tag_keep_their_order_and_are_kept_until_wanted() {
        let (memory, from) = (Memory::new(1 << 20), Rank(2));
        let mut packets = Packets::new(3);
        for byte in [1, 2] {
            assert_eq!(packets.deliver(from, Tag(7), &[byte]), Ok(None));
        }
        assert_eq!(packets.take_kept(Key::new(from, Tag(8))), None);
        assert_eq!(packets.take_kept(Key::new(Rank(1), Tag(7))), None);
        assert_eq!([(); 3].map(|()| packets.take_kept(Key::new(from, Tag(7)))), [Some(vec![1]), Some(vec![2]), None]);
        let cells = [1, 1, 4].map(|bytes| memory.block(bytes).expect("a small block"));
        let mut receives = cells.each_ref().map(|cell| cell.write()).into_iter().zip(10..);
        let mut next = || receives.next().map(|(data, ticket)| (ticket, data)).expect("three receives");
        let wanted = Wanted { first: next(), more: [next(), next()].into() };
        packets.wanted.insert(Key::new(from, Tag(7)), wanted);
        packets.wanted_from[2].0 = 3;
        let ended = [3, 4, 5].map(|byte| packets.deliver(from, Tag(7), &[byte]));
        assert_eq!(ended, [Ok(Some(10)), Ok(Some(11)), Err(4)]);
        assert_eq!((cells[0].read()[0], cells[1].read()[0], packets.wanted_from[2].0), (3, 4, 0));
    }
}

//! Messages of any length between two ranks at any time, beside what graphs and collectives do.
//!
//! Each message begins with a frame of fixed length, for which the receiver always has a receive posted; what does not
//! fit follows as a second message of the length that the frame told. Both stand on the transport's own sends and
//! receives, so every transport has mailboxes.
//! Invariant: per peer there is one receive outstanding until the peer has said goodbye, and none afterwards; messages
//! of one sender arrive in the order they were sent.
//! Never here: what messages mean.

use crate::comm::{CommThread, Completion, Post, Request};
use crate::error::{Error, Result};
use crate::ids::{Rank, Tag};
use crate::memory::{BlockCell, Memory};
use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Tags of graphs are below; MPI promises this one.
const TAG: Tag = Tag::MAILBOX;
const FRAME_BYTES: usize = 4096;
const LENGTH_BYTES: usize = 8;
const INLINE_BYTES: usize = FRAME_BYTES - LENGTH_BYTES;
/// The length that says goodbye.
const GOODBYE: u64 = u64::MAX;
const OPERATION: &str = "mailbox";

/// What came from a peer.
type Letter = Result<(Rank, Vec<u8>)>;

/// One rank's mailbox, open to some peers, each of which has one open to this rank.
#[derive(Debug)]
pub struct Mailbox {
    post_office: Arc<PostOffice>,
    letters: Receiver<Letter>,
    /// Held while a frame and what follows it are posted, so that nothing comes between; false after the goodbye.
    open: Mutex<bool>,
    peers: Vec<Rank>,
}

struct PostOffice {
    comm: Arc<CommThread>,
    memory: Arc<Memory>,
    letters: Sender<Letter>,
}

impl std::fmt::Debug for PostOffice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostOffice")
    }
}

impl Mailbox {
    /// Opens a mailbox to `peers`; each of them opens one to this rank, before or after. One at a time on a rank.
    ///
    /// # Errors
    /// Local: `Error::Memory`.
    pub(crate) fn open(comm: Arc<CommThread>, memory: Arc<Memory>, peers: Vec<Rank>) -> Result<Mailbox> {
        let (sender, letters) = channel::unbounded();
        let post_office = Arc::new(PostOffice { comm, memory, letters: sender });
        for &peer in &peers {
            post_office.await_frame(peer)?;
        }
        Ok(Mailbox { post_office, letters, open: Mutex::new(true), peers })
    }

    /// Sends bytes to a peer; returns at once.
    ///
    /// Cost: a copy of the bytes.
    ///
    /// # Errors
    /// Local: `Error::Memory`; `Error::Launch` after [`Mailbox::close`].
    pub fn send(&self, to: Rank, bytes: &[u8]) -> Result<()> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !*open {
            return Err(Error::Launch("the mailbox was closed".to_string()));
        }
        let inline = bytes.len() <= INLINE_BYTES;
        let rest = if inline { None } else { Some(self.post_office.copy(bytes)?) };
        self.post_office.send_frame(to, bytes.len() as u64, if inline { bytes } else { &[] })?;
        if let Some(rest) = rest {
            self.post_office.post(Request::Send { to, tag: TAG, data: rest }, Arc::new(Sent));
            self.post_office.comm.poke();
        }
        Ok(())
    }

    /// The next message and its sender; `None` if none comes in time. Without patience it waits for ever.
    ///
    /// # Errors
    /// Local: `Error::Transport`, after which nothing more comes from that peer.
    pub fn receive(&self, patience: Option<Duration>) -> Result<Option<(Rank, Vec<u8>)>> {
        let letter = match patience {
            None => self.letters.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(patience) => self.letters.recv_timeout(patience),
        };
        letter.map_or(Ok(None), |letter| letter.map(Some))
    }

    /// Says goodbye to all peers: they get nothing more from here. What they still send can be received.
    ///
    /// # Errors
    /// Local: `Error::Memory`.
    pub fn close(&self) -> Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *open, false) {
            return Ok(());
        }
        self.peers.iter().try_for_each(|&peer| self.post_office.send_frame(peer, GOODBYE, &[]))
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // Peers would wait for ever; without memory for a frame there is nobody to tell.
        let _ = self.close();
    }
}

impl PostOffice {
    fn post(&self, request: Request, completion: Arc<dyn Completion>) {
        self.comm.post(Post { operation: OPERATION, request, completion, index: 0 });
    }

    fn copy(&self, bytes: &[u8]) -> Result<Arc<BlockCell>> {
        let cell = self.memory.block(bytes.len())?;
        cell.write().copy_from_slice(bytes);
        Ok(cell)
    }

    fn send_frame(&self, to: Rank, length: u64, inline: &[u8]) -> Result<()> {
        let cell = self.memory.block(FRAME_BYTES)?;
        {
            let mut frame = cell.write();
            frame[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
            frame[LENGTH_BYTES..LENGTH_BYTES + inline.len()].copy_from_slice(inline);
            frame[LENGTH_BYTES + inline.len()..].fill(0);
        }
        self.post(Request::Send { to, tag: TAG, data: cell }, Arc::new(Sent));
        self.comm.poke();
        Ok(())
    }

    fn await_frame(self: &Arc<Self>, from: Rank) -> Result<()> {
        self.receive(from, self.memory.block(FRAME_BYTES)?, Part::Frame);
        Ok(())
    }

    fn receive(self: &Arc<Self>, from: Rank, data: Arc<BlockCell>, part: Part) {
        let arrival = Arrival { post_office: Arc::clone(self), from, data: Arc::clone(&data), part };
        self.post(Request::Receive { from, tag: TAG, data }, Arc::new(arrival));
    }
}

/// Nobody waits for the end of a send: a transport that is gone is heard of where something is received.
struct Sent;

impl Completion for Sent {
    fn completed(self: Arc<Self>, _index: u32, _outcome: Result<()>) {}
}

#[derive(Clone, Copy)]
enum Part {
    Frame,
    Rest,
}

/// A receive that is under way.
struct Arrival {
    post_office: Arc<PostOffice>,
    from: Rank,
    data: Arc<BlockCell>,
    part: Part,
}

impl Arrival {
    /// Takes what came, and posts the next receive.
    fn take(&self) -> Result<()> {
        let bytes = match self.part {
            Part::Rest => self.data.read().to_vec(),
            Part::Frame => {
                let frame = self.data.read();
                let length = u64::from_le_bytes(frame[..LENGTH_BYTES].try_into().expect("eight bytes"));
                if length == GOODBYE {
                    return Ok(());
                }
                let length = usize::try_from(length).expect("a length of this machine");
                if length > INLINE_BYTES {
                    let rest = self.post_office.memory.block(length)?;
                    self.post_office.receive(self.from, rest, Part::Rest);
                    return Ok(());
                }
                frame[LENGTH_BYTES..LENGTH_BYTES + length].to_vec()
            }
        };
        // Whoever dropped the mailbox wants no letters, but the peer's goodbye must still be met.
        let _ = self.post_office.letters.send(Ok((self.from, bytes)));
        self.post_office.await_frame(self.from)
    }
}

impl Completion for Arrival {
    fn completed(self: Arc<Self>, _index: u32, outcome: Result<()>) {
        if let Err(error) = outcome.and_then(|()| self.take()) {
            let _ = self.post_office.letters.send(Err(error));
        }
    }
}

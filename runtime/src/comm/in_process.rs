//! Ranks as threads of one process: the same code above, without MPI, with a seeded order of delivery.
//!
//! Messages are copied through a hub. With a seed, every operation completes after a random number of polls,
//! so that one seed is one order of delivery and a thousand seeds are a thousand.
//! Invariant: messages with the same sender, receiver and tag arrive in the order they were posted.

use super::board::{self, Board, Place};
use super::collective::Collective;
use super::meeting::Meeting;
use super::ring::Line;
use super::transport::{Ticket, Transport};
use crate::error::{Error, Result};
use crate::ids::{Rank, Tag};
use crate::memory::{ReadGuard, WriteGuard};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Transports of `ranks` ranks that reach each other. Seed 0 delivers at once.
pub fn connect(ranks: usize, seed: u64) -> Vec<InProcess> {
    let hub = Arc::new(Mutex::new(Hub::default()));
    let lines = || (0..board::LINES).map(|_| Line(Default::default())).collect::<Arc<[Line]>>();
    let notes: Vec<Place> = (0..ranks).map(|_| Place::Own(lines())).collect();
    let others = |rank: usize| -> Vec<(Rank, Place)> {
        let others = notes.iter().enumerate().filter(|(other, _)| *other != rank);
        others.map(|(other, note)| (Rank::from(other), note.clone())).collect()
    };
    let transport = |rank: usize| InProcess {
        board: Some(Board::new(notes[rank].clone(), others(rank))),
        rank: Rank::from(rank),
        size: ranks,
        hub: Arc::clone(&hub),
        pending: Vec::new(),
        meetings: 0,
        random: (seed != 0).then(|| Random(seed ^ (rank as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))),
    };
    (0..ranks).map(transport).collect()
}

/// One rank's end of the hub.
pub struct InProcess {
    rank: Rank,
    size: usize,
    hub: Arc<Mutex<Hub>>,
    pending: Vec<Pending>,
    meetings: u64,
    random: Option<Random>,
    board: Option<Board>,
}

struct Pending {
    ticket: Ticket,
    /// Polls that must pass before it may complete.
    polls_left: u32,
    operation: Operation,
}

enum Operation {
    Send(#[allow(dead_code, reason = "keeps the block lent until the send completes")] ReadGuard),
    Receive(Rank, Tag, WriteGuard),
    Meeting(u64, Collective),
}

#[derive(Default)]
struct Hub {
    mail: HashMap<(Rank, Rank, Tag), VecDeque<Vec<u8>>>,
    meetings: HashMap<u64, Meeting>,
    aborted: Option<Rank>,
}

impl Transport for InProcess {
    fn rank(&self) -> Rank {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn any_thread(&self) -> bool {
        true
    }

    fn board(&mut self) -> Option<Board> {
        self.board.take()
    }

    fn post_send(&mut self, ticket: Ticket, to: Rank, tag: Tag, data: ReadGuard) -> Result<()> {
        let key = (self.rank, to, tag);
        self.hub().mail.entry(key).or_default().push_back(data.to_vec());
        self.pend(ticket, Operation::Send(data));
        Ok(())
    }

    fn send_now(&mut self, to: Rank, tag: Tag, bytes: &[u8]) -> bool {
        // With a seed, half of them must be posted.
        let sent = self.random.as_mut().is_none_or(|random| random.next().is_multiple_of(2));
        if sent {
            self.hub().mail.entry((self.rank, to, tag)).or_default().push_back(bytes.to_vec());
        }
        sent
    }

    fn post_receive(&mut self, ticket: Ticket, from: Rank, tag: Tag, data: WriteGuard) -> Result<()> {
        self.pend(ticket, Operation::Receive(from, tag, data));
        Ok(())
    }

    fn post_collective(&mut self, ticket: Ticket, collective: Collective) -> Result<()> {
        let meeting = self.meetings;
        self.meetings += 1;
        let (rank, size) = (self.rank, self.size);
        let entered = self.hub().meetings.entry(meeting).or_default().enter(rank, size, &collective);
        entered.map_err(|message| self.error("collective", None, message))?;
        self.pend(ticket, Operation::Meeting(meeting, collective));
        Ok(())
    }

    fn progress(&mut self, done: &mut Vec<Ticket>) -> Result<bool> {
        let mut kept = Vec::with_capacity(self.pending.len());
        // Two receives of one sender and tag are served in the order of their posts: a late one holds the next.
        let mut held: Vec<(Rank, Tag)> = Vec::new();
        if let Some(rank) = self.hub().aborted {
            return Err(self.error("abort", Some(rank), "the job was ended".to_string()));
        }
        for mut pending in std::mem::take(&mut self.pending) {
            let waits = pending.polls_left > 0 || self.is_held(&pending, &held);
            pending.polls_left = pending.polls_left.saturating_sub(1);
            if !waits && self.complete(&mut pending.operation)? {
                done.push(pending.ticket);
                continue;
            }
            if let Operation::Receive(from, tag, _) = pending.operation {
                held.push((from, tag));
            }
            kept.push(pending);
        }
        self.pending = kept;
        Ok(!done.is_empty())
    }

    fn shut_down(&mut self) {}

    fn abort(&mut self, _status: i32) {
        let rank = self.rank;
        self.hub().aborted = Some(rank);
    }
}

impl InProcess {
    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pend(&mut self, ticket: Ticket, operation: Operation) {
        let polls_left = self.random.as_mut().map_or(0, |random| (random.next() % 8) as u32);
        self.pending.push(Pending { ticket, polls_left, operation });
    }

    fn is_held(&self, pending: &Pending, held: &[(Rank, Tag)]) -> bool {
        matches!(pending.operation, Operation::Receive(from, tag, _) if held.contains(&(from, tag)))
    }

    /// Completes an operation if its time has come.
    fn complete(&self, operation: &mut Operation) -> Result<bool> {
        match operation {
            Operation::Send(_) => Ok(true),
            Operation::Receive(from, tag, data) => {
                let Some(bytes) = self.hub().mail.get_mut(&(*from, self.rank, *tag)).and_then(VecDeque::pop_front)
                else {
                    return Ok(false);
                };
                if bytes.len() != data.len() {
                    let message = format!("{} bytes arrived where {} were expected", bytes.len(), data.len());
                    return Err(self.error("receive", Some(*from), message));
                }
                data.copy_from_slice(&bytes);
                Ok(true)
            }
            Operation::Meeting(number, collective) => {
                let mut hub = self.hub();
                let meeting = hub.meetings.get_mut(number).expect("entered when it was posted");
                if meeting.entered < self.size {
                    return Ok(false);
                }
                let left = meeting.leave(self.rank, collective);
                if meeting.left == self.size {
                    hub.meetings.remove(number);
                }
                drop(hub);
                left.map_err(|message| self.error("collective", None, message))?;
                Ok(true)
            }
        }
    }

    fn error(&self, call: &'static str, peer: Option<Rank>, message: String) -> Error {
        Error::Transport { rank: self.rank, call, peer, message }
    }
}

/// The splitmix64 generator (Steele, Lea and Flood 2014), for orders of delivery only.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }
}

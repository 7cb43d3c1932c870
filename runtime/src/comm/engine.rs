//! What is given to the transport and what comes back from it; one thread at a time, whichever it is.
//!
//! Collectives carry a number and are posted in that order whatever order they become ready in, so that all
//! ranks post the same ones in the same order.
//! Never here: threads, and who drives.

use super::post::{Completion, Post, Request};
use super::traffic::{Ledger, Traffic};
use super::transport::{Ticket, Transport};
use crate::error::Error;
use crate::ids::{Rank, Tag};
use crate::sync::{Mutex, PoisonError};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

/// So many outstanding operations are named.
const NAMED_MAX: usize = 8;

/// An operation that was given to the transport and is not complete.
struct Outstanding {
    completion: Arc<dyn Completion>,
    index: u32,
    what: What,
    /// Operations posted before it.
    age: u64,
}

/// What an outstanding operation is, with its bytes.
#[derive(Clone, Copy)]
enum What {
    Send(Rank, usize),
    Receive(Rank, usize),
    Collective(&'static str, usize),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            What::Send(to, bytes) => write!(f, "a send of {bytes} bytes to {to}"),
            What::Receive(from, bytes) => write!(f, "a receive of {bytes} bytes from {from}"),
            What::Collective(kind, bytes) => write!(f, "{kind} of {bytes} bytes, to which some rank has not come"),
        }
    }
}

/// A transport with what it was given.
pub(super) struct Engine {
    transport: Box<dyn Transport>,
    /// By ticket; empty places are `vacant`.
    outstanding: Vec<Option<Outstanding>>,
    vacant: Vec<usize>,
    posted: u64,
    /// Collectives whose turn has not come, by their number.
    early: BTreeMap<u64, Post>,
    turn: u64,
    done: Vec<Ticket>,
    /// What the posters have not been told: what has ended well, and what has failed.
    ended: Vec<(Arc<dyn Completion>, u32)>,
    failed: Vec<(Arc<dyn Completion>, u32, Error)>,
    /// Posts taken from the queue.
    inbox: VecDeque<Post>,
    ledger: Ledger,
    /// Why the transport is of no more use.
    failure: Option<Error>,
}

impl Engine {
    pub(super) fn new(transport: Box<dyn Transport>) -> Engine {
        Engine {
            transport,
            outstanding: Vec::new(),
            vacant: Vec::new(),
            posted: 0,
            early: BTreeMap::new(),
            turn: 0,
            done: Vec::new(),
            ended: Vec::new(),
            failed: Vec::new(),
            inbox: VecDeque::new(),
            ledger: Ledger::default(),
            failure: None,
        }
    }

    /// The number of operations that are not complete or not told, without collectives whose turn has not come.
    pub(super) fn open(&self) -> usize {
        self.outstanding.len() - self.vacant.len() + self.ended.len() + self.failed.len()
    }

    /// What was given to the transport, by operation.
    pub(super) fn traffic(&mut self, reset: bool) -> BTreeMap<&'static str, Traffic> {
        self.ledger.read(reset)
    }

    /// Gives what is queued to the transport; how many posts that was.
    pub(super) fn take_from(&mut self, posts: &Mutex<VecDeque<Post>>) -> usize {
        let mut inbox = std::mem::take(&mut self.inbox);
        std::mem::swap(&mut inbox, &mut posts.lock().unwrap_or_else(PoisonError::into_inner));
        let taken = inbox.len();
        inbox.drain(..).for_each(|post| self.take(post));
        self.inbox = inbox;
        taken
    }

    /// Gives a post to the transport, or keeps it until its turn.
    pub(super) fn take(&mut self, post: Post) {
        if let Some(error) = &self.failure {
            return self.failed.push((post.completion, post.index, error.clone()));
        }
        let Request::Collective { sequence, .. } = post.request else { return self.post(post) };
        self.early.insert(sequence, post);
        while let Some(post) = self.early.remove(&self.turn) {
            self.turn += 1;
            self.post(post);
        }
    }

    /// Sends a message for which the transport has room at once; false, and nothing is sent, if it has none.
    pub(super) fn send_now(&mut self, operation: &'static str, to: Rank, tag: Tag, bytes: &[u8]) -> bool {
        let sent = self.failure.is_none() && self.transport.send_now(to, tag, bytes);
        if sent {
            self.ledger.message(operation, bytes.len());
        }
        sent
    }

    /// Tells the posters what has ended; how many posts that was. They may post.
    pub(super) fn tell(&mut self) -> usize {
        let ended = self.ended.len() + self.failed.len();
        self.ended.drain(..).for_each(|(completion, index)| completion.completed(index, Ok(())));
        self.failed.drain(..).for_each(|(completion, index, error)| completion.completed(index, Err(error)));
        ended
    }

    fn post(&mut self, post: Post) {
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.outstanding.push(None);
            self.outstanding.len() - 1
        });
        let ticket = place as Ticket;
        let Post { operation, request, completion, index } = post;
        let (what, posted) = match request {
            Request::Send { to, tag, data } => {
                self.ledger.message(operation, data.bytes());
                (What::Send(to, data.bytes()), self.transport.post_send(ticket, to, tag, data.read()))
            }
            Request::Receive { from, tag, data } => {
                (What::Receive(from, data.bytes()), self.transport.post_receive(ticket, from, tag, data.write()))
            }
            Request::Collective { kind, .. } => {
                let name = kind.name();
                let bytes = kind.bytes_given(self.transport.rank());
                self.ledger.collective(operation, bytes);
                (What::Collective(name, bytes), self.transport.post_collective(ticket, kind.open()))
            }
        };
        match posted {
            Ok(()) => {
                self.outstanding[place] = Some(Outstanding { completion, index, what, age: self.posted });
                self.posted += 1;
            }
            Err(error) => {
                self.vacant.push(place);
                self.failed.push((completion, index, error));
            }
        }
    }

    /// Moves the transport on, and adds what has ended; true if anything moved.
    pub(super) fn progress(&mut self) -> bool {
        if self.outstanding.len() == self.vacant.len() {
            return false;
        }
        let outcome = self.transport.progress(&mut self.done);
        for ticket in self.done.drain(..) {
            let place = ticket as usize;
            let Outstanding { completion, index, .. } =
                self.outstanding[place].take().expect("a ticket given out here");
            self.vacant.push(place);
            self.ended.push((completion, index));
        }
        outcome.unwrap_or_else(|error| {
            self.fail(error);
            true
        })
    }

    /// Tells every poster, now and later, that the transport is gone.
    fn fail(&mut self, error: Error) {
        let open = self.outstanding.drain(..).flatten();
        self.failed.extend(open.map(|it| (it.completion, it.index, error.clone())));
        self.vacant.clear();
        let early = std::mem::take(&mut self.early).into_values();
        self.failed.extend(early.map(|it| (it.completion, it.index, error.clone())));
        self.failure = Some(error);
    }

    /// Ends the transport; on the thread that opened it.
    pub(super) fn shut_down(&mut self) {
        if self.failure.is_none() {
            self.transport.shut_down();
        }
    }

    pub(super) fn abort(&mut self, status: i32) {
        self.transport.abort(status);
    }

    /// What is outstanding, the oldest first.
    pub(super) fn report(&self) -> String {
        let mut open: Vec<&Outstanding> = self.outstanding.iter().flatten().collect();
        open.sort_unstable_by_key(|one| one.age);
        let mut named: Vec<String> = open.iter().take(NAMED_MAX).map(|one| one.what.to_string()).collect();
        if open.len() > NAMED_MAX {
            named.push(format!("{} more", open.len() - NAMED_MAX));
        }
        if !self.early.is_empty() {
            named.push(format!("{} collectives whose turn has not come", self.early.len()));
        }
        if named.is_empty() {
            "no message is outstanding".to_string()
        } else {
            format!("waits for {}", named.join(", "))
        }
    }
}

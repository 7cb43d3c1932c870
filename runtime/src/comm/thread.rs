//! The comm thread: sole caller of the transport, which it never waits in.
//!
//! It takes posts from a queue, hands them to the transport, tests what is outstanding, and tells the poster.
//! Collectives carry a number and are posted in that order whatever order they become ready in, so that all
//! ranks post the same ones in the same order. While requests are in flight it polls, spinning only if it has a
//! seat of its own, then yields between polls, then naps; it sleeps on its queue when nothing is outstanding, so an
//! idle world costs no processor time.

use super::collective::CollectiveRequest;
use super::traffic::{Ledger, Traffic};
use super::transport::{Ticket, Transport};
use crate::error::{Error, Result};
use crate::ids::{Rank, Tag};
use crate::memory::BlockCell;
use crate::topology::{CpuSet, bind_this_thread};
use crate::trace::{Recorder, State};
use crossbeam::channel::{self, Receiver, Sender};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hint;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Empty polls before a thread with a seat of its own yields, and before any thread naps.
const SPINS: u32 = 100;
const YIELDS: u32 = 100;
/// A nap ends early when a post arrives. Shorter ones cost as much processor time as spinning.
const NAP: Duration = Duration::from_micros(50);
/// A wait of a tenth of a second may well become a long one, such as a mailbox's: it then costs next to nothing.
const NAPS: u32 = 1000;
const LONG_NAP: Duration = Duration::from_millis(1);
/// How long a thread that waits anyway waits for a list of what is outstanding.
const ANSWER: Duration = Duration::from_millis(500);
/// So many outstanding operations are named.
const NAMED_MAX: usize = 8;

/// Hears of the end of a post.
pub trait Completion: Send + Sync {
    /// Post `index` is done; its blocks are free again. Called on the comm thread.
    fn completed(self: Arc<Self>, index: u32, outcome: Result<()>);
}

/// What to do, on blocks that no task uses meanwhile.
pub enum Request {
    /// Lends `data` to the wire.
    Send {
        /// The receiver.
        to: Rank,
        /// Matches the receive.
        tag: Tag,
        /// What is sent.
        data: Arc<BlockCell>,
    },
    /// Fills `data` from the wire.
    Receive {
        /// The sender.
        from: Rank,
        /// Matches the send.
        tag: Tag,
        /// Where it comes to lie.
        data: Arc<BlockCell>,
    },
    /// A collective with its number; all numbers are used, each once.
    Collective {
        /// Its place among all collectives of this world.
        sequence: u64,
        /// What is done together.
        kind: CollectiveRequest,
    },
}

/// A request with its poster.
pub struct Post {
    /// What counters of traffic call it.
    pub operation: &'static str,
    /// What to do.
    pub request: Request,
    /// Who is told.
    pub completion: Arc<dyn Completion>,
    /// What the poster calls it.
    pub index: u32,
}

/// An operation that was given to the transport and is not complete.
struct Outstanding {
    completion: Arc<dyn Completion>,
    index: u32,
    what: What,
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

enum Command {
    Post(Post),
    Report(Sender<String>),
    TakeSeat(CpuSet, bool),
    Abort(i32),
    Stop,
}

/// The handle of the comm thread. Dropping it stops the thread.
pub struct CommThread {
    commands: Sender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
    ledger: Arc<Ledger>,
}

impl CommThread {
    /// Starts the thread and connects the transport on it; `connect` also brings news for the starter. The thread's
    /// states go to `trace`.
    ///
    /// `None`, and no thread, if `connect` finds nobody to connect with.
    ///
    /// # Errors
    /// What `connect` returns.
    pub fn start<N: Send + 'static>(
        connect: impl FnOnce() -> Result<Option<(Box<dyn Transport>, N)>> + Send + 'static,
        trace: Recorder,
    ) -> Result<Option<(CommThread, N)>> {
        let (commands, queue) = channel::unbounded();
        let (report, reports) = channel::bounded(1);
        let ledger = Arc::new(Ledger::default());
        let for_thread = Arc::clone(&ledger);
        let body = move || match connect() {
            Ok(None) => {
                // The starter waits for this one message, so it cannot have left.
                let _ = report.send(Ok(None));
            }
            Ok(Some((transport, news))) => {
                let _ = report.send(Ok(Some(news)));
                let (outstanding, early) = (HashMap::new(), BTreeMap::new());
                Loop { transport, queue, ledger: for_thread, outstanding, tickets: 0, early, turn: 0, spins: 0, trace }
                    .run();
            }
            Err(error) => {
                let _ = report.send(Err(error));
            }
        };
        let thread = thread::Builder::new()
            .name("girih-comm".to_string())
            .spawn(body)
            .map_err(|error| Error::Launch(format!("the comm thread cannot be started: {error}")))?;
        let news = reports.recv().map_err(|_| Error::Launch("the comm thread ended at its start".to_string()))??;
        Ok(news.map(|news| (CommThread { commands, thread: Mutex::new(Some(thread)), ledger }, news)))
    }

    /// Gives the thread something to do.
    pub fn post(&self, post: Post) {
        self.send(Command::Post(post));
    }

    /// Binds the thread, as far as the system allows; `own` says that no worker shares the seat.
    pub fn take_seat(&self, seat: CpuSet, own: bool) {
        self.send(Command::TakeSeat(seat, own));
    }

    /// Ends the thread, and the transport, when all posts are done; waits for it.
    pub fn stop(&self) {
        self.send(Command::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The comm thread may drop the last handle itself, with its last completion.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            // A thread that panicked has printed why.
            let _ = thread.join();
        }
    }

    /// Ends the whole job, as well as the transport can.
    pub fn abort(&self, status: i32) {
        self.send(Command::Abort(status));
    }

    /// Bytes and messages since the start or the last reset, by operation.
    pub fn traffic(&self, reset: bool) -> BTreeMap<&'static str, Traffic> {
        self.ledger.read(reset)
    }

    /// What is outstanding, in words; not asked while things move.
    pub fn outstanding(&self) -> String {
        let (report, reports) = channel::bounded(1);
        self.send(Command::Report(report));
        // A thread that does not answer is inside a call of the transport.
        reports.recv_timeout(ANSWER).unwrap_or_else(|_| "the comm thread does not answer".to_string())
    }

    fn send(&self, command: Command) {
        // A thread that is gone has reported why to those who waited for it.
        let _ = self.commands.send(command);
    }
}

impl Drop for CommThread {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Loop {
    transport: Box<dyn Transport>,
    queue: Receiver<Command>,
    ledger: Arc<Ledger>,
    outstanding: HashMap<Ticket, Outstanding>,
    tickets: Ticket,
    /// Collectives whose turn has not come, by their number.
    early: BTreeMap<u64, Post>,
    turn: u64,
    spins: u32,
    trace: Recorder,
}

impl Loop {
    fn run(mut self) {
        let mut done = Vec::new();
        let mut empty_polls = 0;
        let mut stopping = false;
        while !(stopping && self.outstanding.is_empty()) {
            if let Some(command) = self.next_command(empty_polls) {
                self.trace.state(State::Busy);
                stopping |= self.obey(command);
                empty_polls = 0;
                continue;
            }
            if let Err(error) = self.transport.progress(&mut done) {
                return self.fail(&error);
            }
            empty_polls = if done.is_empty() { empty_polls.saturating_add(1) } else { 0 };
            if !done.is_empty() {
                self.trace.state(State::Busy);
            }
            for ticket in done.drain(..) {
                let ended = self.outstanding.remove(&ticket).expect("a ticket given out here");
                ended.completion.completed(ended.index, Ok(()));
            }
        }
        self.transport.shut_down();
    }

    /// The next command, waiting for it as long as nothing else could happen.
    fn next_command(&self, empty_polls: u32) -> Option<Command> {
        if self.outstanding.is_empty() {
            self.trace.state(State::Asleep);
            // Handles stop the thread before the last of them goes.
            return Some(self.queue.recv().unwrap_or(Command::Stop));
        }
        if empty_polls >= self.spins + YIELDS {
            self.trace.state(State::Napping);
            let nap = if empty_polls >= self.spins + YIELDS + NAPS { LONG_NAP } else { NAP };
            return self.queue.recv_timeout(nap).ok();
        }
        if empty_polls == 1 {
            self.trace.state(State::Polling);
        }
        if empty_polls >= self.spins && empty_polls > 0 {
            thread::yield_now();
        } else {
            hint::spin_loop();
        }
        self.queue.try_recv().ok()
    }

    /// Carries a command out; true if it is the last.
    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Post(post) => match post.request {
                Request::Collective { sequence, .. } => {
                    self.early.insert(sequence, post);
                    while let Some(post) = self.early.remove(&self.turn) {
                        self.turn += 1;
                        self.post(post);
                    }
                }
                _ => self.post(post),
            },
            Command::TakeSeat(seat, own) => {
                self.spins = if own { SPINS } else { 0 };
                // Where the system refuses, the thread floats.
                let _ = bind_this_thread(&seat);
            }
            // Whoever asked may have lost patience.
            Command::Report(report) => drop(report.send(self.report())),
            Command::Abort(status) => self.transport.abort(status),
            Command::Stop => return true,
        }
        false
    }

    fn post(&mut self, post: Post) {
        let ticket = self.tickets;
        self.tickets += 1;
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
                self.outstanding.insert(ticket, Outstanding { completion, index, what });
            }
            Err(error) => completion.completed(index, Err(error)),
        }
    }

    /// What is outstanding, the oldest first.
    fn report(&self) -> String {
        let mut open: Vec<(Ticket, What)> = self.outstanding.iter().map(|(&ticket, one)| (ticket, one.what)).collect();
        open.sort_unstable_by_key(|&(ticket, _)| ticket);
        let mut named: Vec<String> = open.iter().take(NAMED_MAX).map(|(_, what)| what.to_string()).collect();
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

    /// Tells every poster, now and later, that the transport is gone.
    fn fail(mut self, error: &Error) {
        for (_, Outstanding { completion, index, .. }) in self.outstanding.drain() {
            completion.completed(index, Err(error.clone()));
        }
        for (_, post) in std::mem::take(&mut self.early) {
            post.completion.completed(post.index, Err(error.clone()));
        }
        while let Ok(command) = self.queue.recv() {
            match command {
                Command::Post(post) => post.completion.completed(post.index, Err(error.clone())),
                Command::TakeSeat(..) | Command::Report(_) => {}
                Command::Abort(status) => self.transport.abort(status),
                Command::Stop => return,
            }
        }
    }
}

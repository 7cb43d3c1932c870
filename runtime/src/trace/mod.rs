//! What ran when: events of every thread of a rank, kept while a trace is recorded.
//!
//! Each thread writes into chunks of its own, without a lock; when nothing is recorded, an event costs one relaxed
//! load. What a node of a graph is, and what comes before it, is copied once a session from the graph itself, so that
//! an event carries two numbers only.
//! Invariant: a thread's entries below a chunk's length are complete and do not change any more.
//! Never here: when a trace begins and ends on all ranks; `world` has that.

mod clock;
mod plan;
mod recording;
mod text;
mod track;

pub use clock::{Clock, Exchange, now};
pub use plan::{Plan, PlannedKind, PlannedNode};
pub use recording::Recording;
pub use text::{CLOSING, OPENING, Stage, Text};
pub use track::{Begun, Recorder, State};

use plan::Launches;
use std::any::Any;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use track::{Kept, Kind};

/// Whose events a track holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The threads that use the world, one at a time.
    Main,
    /// The comm thread.
    Comm,
    /// Whoever posts or completes a message.
    Messages,
    /// A worker, by its number.
    Worker(u32),
    /// Processes that run tasks for this rank and tell it when.
    Processes,
}

/// The events of one rank.
#[derive(Debug)]
pub struct Tracer {
    switch: Arc<Switch>,
    /// What happens to messages, told by workers, the comm thread and users.
    messages: Mutex<Recorder>,
    main: Mutex<Recorder>,
    processes: Mutex<Recorder>,
}

/// Whether events are wanted, and where they are kept.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    /// The number of the session that records; 0 for none.
    session: AtomicU32,
    kept: Mutex<Session>,
}

/// All that is known of a session.
#[derive(Debug, Default)]
struct Session {
    number: u32,
    /// When it began, by the clock of this process.
    begin: u64,
    tracks: Vec<Kept>,
    launches: Launches,
    /// What main threads did, named by their entries.
    texts: Vec<String>,
}

impl Switch {
    /// The session that records; 0 for none.
    #[inline]
    pub(crate) fn session(&self) -> u32 {
        self.session.load(Relaxed) // Relaxed: the chunks of a session are handed over under the lock of `kept`
    }

    fn kept(&self) -> MutexGuard<'_, Session> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Tracer {
    fn default() -> Tracer {
        let switch = Arc::new(Switch::default());
        let recorder = |who| Mutex::new(Recorder::new(Arc::clone(&switch), who));
        let (messages, main) = (recorder(Who::Messages), recorder(Who::Main));
        Tracer { messages, main, processes: recorder(Who::Processes), switch }
    }
}

impl Tracer {
    /// Where a thread writes its events.
    pub fn recorder(&self, who: Who) -> Recorder {
        Recorder::new(Arc::clone(&self.switch), who)
    }

    /// True while a trace is recorded. Cost: a relaxed load.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.switch.session() != 0
    }

    /// Begins a session; events from now on are kept.
    pub fn start(&self) {
        let mut session = self.switch.kept();
        let number = session.number.wrapping_add(1).max(1);
        *session = Session { number, begin: now(), ..Session::default() };
        // Release: a thread that sees the number finds the session that it stands for, under its lock.
        self.switch.session.store(number, Release);
    }

    /// Ends the session; `None` if there was none.
    ///
    /// What other threads do at this moment may be missing: no graph may run.
    pub fn stop(&self) -> Option<Recording> {
        // Acquire: pairs with the Release in `start`.
        if self.switch.session.swap(0, Acquire) == 0 {
            return None;
        }
        let mut session = self.switch.kept();
        let (number, begin) = (session.number, session.begin);
        let Session { tracks, launches, texts, .. } = std::mem::take(&mut *session);
        session.number = number;
        drop(session);
        Some(Recording::new((begin, now()), tracks, launches, texts))
    }

    /// A graph is launched: what its nodes are is asked once in a session. `graph` keeps its identity.
    pub fn launched(
        &self,
        launch: u32,
        first_collective: u64,
        graph: Weak<dyn Any + Send + Sync>,
        plan: impl FnOnce() -> Plan,
    ) {
        if self.is_on() {
            self.switch.kept().launches.add(launch, first_collective, graph, plan);
        }
    }

    /// A message or a collective has nothing open before it.
    #[inline]
    pub fn posted(&self, launch: u32, node: u32) {
        if self.is_on() {
            self.messages().note(Kind::Posted, launch, node);
        }
    }

    /// A message or a collective is complete.
    #[inline]
    pub fn completed(&self, launch: u32, node: u32) {
        if self.is_on() {
            self.messages().note(Kind::Completed, launch, node);
        }
    }

    /// The time, if a trace is recorded.
    pub fn begin(&self) -> Option<Begun> {
        self.main.lock().unwrap_or_else(PoisonError::into_inner).begin()
    }

    /// A main thread has done this since `begun`; `bytes` of blocks are in use at its end.
    pub fn main(&self, begun: Option<Begun>, what: &str, bytes: usize) {
        let Some(begun) = begun else { return };
        let text = self.text(what);
        self.main.lock().unwrap_or_else(PoisonError::into_inner).span(begun, text, (bytes >> 10) as u32);
    }

    /// A process of this rank, by its number, has run this; it began and ended so long ago.
    pub fn process(&self, number: u32, what: &str, began: Duration, ended: Duration) {
        if self.is_on() {
            let text = self.text(what);
            let ago = |time: Duration| now().saturating_sub(time.as_nanos() as u64);
            let processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
            processes.process(ago(began), ago(ended), text, number);
        }
    }

    /// The number of a text.
    fn text(&self, what: &str) -> u32 {
        let mut session = self.switch.kept();
        let known = session.texts.iter().rposition(|text| text == what);
        let text = known.unwrap_or_else(|| {
            session.texts.push(what.to_string());
            session.texts.len() - 1
        });
        text as u32
    }

    fn messages(&self) -> MutexGuard<'_, Recorder> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

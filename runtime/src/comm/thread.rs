//! The comm thread, and the workers in its place: whoever drives the engine calls the transport, one at a time.
//!
//! Posts go to a queue; a driver hands them to the transport, tests what is outstanding, and tells the posters. A
//! thread that waits for messages anyway drives ([`CommThread::drive`]), so that what comes goes on without a switch of
//! threads; the comm thread drives while all others compute or sleep.
//! Invariant 1: the engine is driven under its lock, which is only ever tried for; who finds it taken leaves his posts
//! to the holder, who looks at the queue once more after letting go.
//! Invariant 2: while anything is queued or outstanding, the comm thread is awake or naps, and whoever drove it last
//! has seen that. It sleeps without a limit only if nothing is, having said so before its last look.
//! While requests are in flight it polls, spinning if it has a seat of its own or something has moved, then yields
//! between polls for a millisecond, then naps, the longer the longer nothing has moved (`pace.rs`); where others want
//! its core it naps at once, and on a seat that it shares it naps while others drive. An idle world costs no processor
//! time.
//! Completions are called by a driver under the lock: they post and make tasks ready, and never drive.

use super::engine::Engine;
use super::handover::Handover;
use super::pace::{Pace, Pause};
use super::post::Post;
use super::traffic::Traffic;
use super::transport::Transport;
use crate::error::{Error, Result};
use crate::ids::{Rank, Tag};
use crate::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::time::Instant;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError, hint};
use crate::topology::{CpuSet, bind_this_thread};
use crate::trace::{Recorder, State};
use crossbeam::channel;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The first nap while others drive; it ends early when the bell rings.
const NAP: Duration = Duration::from_micros(50);
/// A yield that took this long gave the core to somebody who wants it, so naps follow at once.
const YIELD_MAX: Duration = Duration::from_micros(200);
/// The longest nap while others drive, and while nothing is left to do.
const LONG_NAP: Duration = Duration::from_millis(1);
/// So long the thread naps when nothing is left to do, before it sleeps and must be woken.
const LINGER: Duration = Duration::from_millis(10);
/// How long a thread that waits anyway waits for a list of what is outstanding.
const ANSWER: Duration = Duration::from_millis(500);

enum Command {
    TakeSeat(CpuSet),
    Abort(i32),
    Stop,
}

/// The handle of the comm thread. Dropping it stops the thread.
pub struct CommThread {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How deep the comm thread sleeps: not at all, until it looks again soon, or until it is woken.
const AWAKE: usize = 0;
const NAPS: usize = 1;
const SLEEPS: usize = 2;

/// What wakes the comm thread.
#[derive(Default)]
struct Desk {
    commands: VecDeque<Command>,
    rung: bool,
}

#[derive(Default)]
struct Shared {
    /// `None` before the transport is open and after its end.
    engine: Handover<Option<Engine>>,
    /// The transport may be called by any thread, one at a time.
    any_thread: AtomicBool,
    /// The comm thread has a core that no worker uses.
    own_seat: AtomicBool,
    /// What is outstanding will never be complete.
    forsaken: AtomicBool,
    /// The caller of a graph drives until further notice.
    minded: AtomicBool,
    posts: Mutex<VecDeque<Post>>,
    /// How often threads other than the comm thread drove.
    driven: AtomicU64,
    desk: Mutex<Desk>,
    bell: Condvar,
    /// `AWAKE`, `NAPS` or `SLEEPS`.
    sleep: AtomicUsize,
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
        let (report, reports) = channel::bounded(1);
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let body = move || match connect() {
            Ok(None) => {
                // The starter waits for this one message, so it cannot have left.
                let _ = report.send(Ok(None));
            }
            Ok(Some((transport, news))) => {
                for_thread.any_thread.store(transport.any_thread(), Relaxed); // handed on by the report
                *for_thread.engine.hold() = Some(Engine::new(transport));
                let _ = report.send(Ok(Some(news)));
                Loop::new(&for_thread, trace).run();
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
        Ok(news.map(|news| (CommThread { shared, thread: Mutex::new(Some(thread)) }, news)))
    }

    /// The same without a thread: nothing moves but in [`CommThread::drive`] and [`CommThread::live`]. With
    /// `workers_drive`, workers drive too.
    pub fn by_hand(transport: Box<dyn Transport>, workers_drive: bool) -> CommThread {
        let shared = Shared {
            any_thread: AtomicBool::new(true),
            own_seat: AtomicBool::new(!workers_drive),
            engine: Handover::new(Some(Engine::new(transport))),
            ..Shared::default()
        };
        CommThread { shared: Arc::new(shared), thread: Mutex::new(None) }
    }

    /// Is the comm thread of one made by hand, until it is stopped.
    pub fn live(&self, trace: Recorder) {
        Loop::new(&self.shared, trace).run();
    }

    /// Gives something to do: to the engine at once if nobody drives it and workers may, else to the queue. It is done
    /// sooner if a [`CommThread::poke`] follows; in a completion none may.
    pub fn post(&self, post: Post) {
        let shared = &self.shared;
        let mut left = Some(post);
        // Relaxed: a hint, and set before this handle was made.
        if !shared.own_seat.load(Relaxed) && shared.any_thread.load(Relaxed) {
            let queued = shared.engine.lend(|engine| {
                engine.as_mut().map_or(0, |engine| {
                    left.take().into_iter().for_each(|post| engine.take(post));
                    engine.open()
                })
            });
            if queued && left.is_none() {
                shared.drive();
            }
        }
        if let Some(post) = left {
            let mut posts = lock(&shared.posts);
            posts.push_back(post);
            // Before any look at who sleeps; `Loop::sleep` stands opposite.
            shared.engine.count_queued();
        }
        shared.wake(SLEEPS);
    }

    /// Sends a message in this thread, if workers may, nobody drives, and it is done with a copy: then it has ended and
    /// nobody is told. False, and nothing is sent, if not.
    pub fn send_now(&self, operation: &'static str, to: Rank, tag: Tag, bytes: &[u8]) -> bool {
        let shared = &self.shared;
        // Relaxed: hints, as in `post`.
        if shared.own_seat.load(Relaxed) || !shared.any_thread.load(Relaxed) {
            return false;
        }
        let mut sent = false;
        let queued = shared.engine.lend(|engine| {
            engine.as_mut().map_or(0, |engine| {
                sent = engine.send_now(operation, to, tag, bytes);
                engine.open()
            })
        });
        if queued && sent {
            shared.drive();
        }
        sent
    }

    /// Sees to it that posts are taken up: at once in this thread, or by the comm thread if it has a seat of its own.
    pub fn poke(&self) {
        // Relaxed: a hint.
        if self.shared.own_seat.load(Relaxed) {
            self.shared.wake(NAPS);
        } else {
            self.drive();
        }
    }

    /// Takes up posts and tells the ends of operations, if nobody else does at the moment; true if something moved.
    pub fn drive(&self) -> bool {
        let shared = &self.shared;
        if !shared.engine.is_pending() {
            return false;
        }
        // Relaxed: set before this handle was made.
        if !shared.any_thread.load(Relaxed) {
            shared.wake(NAPS);
            return false;
        }
        let Some(moved) = shared.drive() else { return false };
        // Relaxed: a hint for the comm thread, which may miss one of two.
        shared.driven.store(shared.driven.load(Relaxed).wrapping_add(1), Relaxed);
        shared.wake(SLEEPS);
        moved
    }

    /// Hands what is open over to the comm thread, which drives it from here on.
    pub fn leave(&self) {
        self.shared.wake(NAPS);
    }

    /// True if this thread should drive between tasks: something is to be done, on a seat that the comm thread shares.
    pub fn wants_driver(&self) -> bool {
        // Relaxed: hints.
        self.shared.engine.seems_pending()
            && !self.shared.own_seat.load(Relaxed)
            && self.shared.any_thread.load(Relaxed)
    }

    /// Says that the thread of a caller drives from now on, or does so no more: idle workers need not.
    pub fn mind(&self, minds: bool) {
        self.shared.minded.store(minds, Relaxed); // Relaxed: a hint
    }

    /// True while the thread of a caller drives.
    pub fn is_minded(&self) -> bool {
        self.shared.minded.load(Relaxed) // Relaxed: a hint
    }

    /// Binds the thread, as far as the system allows; `own` says that no worker shares the seat.
    pub fn take_seat(&self, seat: CpuSet, own: bool) {
        self.shared.own_seat.store(own, Relaxed); // Relaxed: a hint
        self.shared.command(Command::TakeSeat(seat));
    }

    /// Takes note that what is outstanding will never be complete, so that no end waits for it.
    pub fn forsake(&self) {
        self.shared.forsaken.store(true, Relaxed); // Relaxed: handed on by the command to stop
    }

    /// Ends the thread, and the transport, when all posts are done or forsaken; waits for it.
    pub fn stop(&self) {
        self.shared.command(Command::Stop);
        let thread = lock(&self.thread).take();
        // The comm thread may drop the last handle itself, with its last completion.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            // A thread that panicked has printed why.
            let _ = thread.join();
        }
    }

    /// Ends the whole job, as well as the transport can.
    pub fn abort(&self, status: i32) {
        self.shared.command(Command::Abort(status));
    }

    /// Bytes and messages since the start or the last reset, by operation.
    pub fn traffic(&self, reset: bool) -> BTreeMap<&'static str, Traffic> {
        self.shared.engine.hold().as_mut().map_or_else(BTreeMap::new, |engine| engine.traffic(reset))
    }

    /// What is outstanding, in words; not asked while things move.
    pub fn outstanding(&self) -> String {
        let until = Instant::now() + ANSWER;
        loop {
            match self.shared.engine.try_hold() {
                Some(engine) => {
                    return engine.as_ref().map_or("no transport is open".to_string(), Engine::report);
                }
                // A driver that does not let go is inside a call of the transport.
                None if Instant::now() > until => return "the comm thread does not answer".to_string(),
                None => thread::sleep(NAP),
            }
        }
    }
}

impl Drop for CommThread {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Drives until the queue is empty; whether something moved, or `None` if another thread drives.
    fn drive(&self) -> Option<bool> {
        self.engine.drive(|engine| {
            let engine = engine.as_mut()?;
            Some((self.turn(engine), engine.open()))
        })
    }

    /// Takes up the queue, moves the transport on and tells what has ended; true if there was anything.
    fn turn(&self, engine: &mut Engine) -> bool {
        let mut moved = false;
        // What is completed may post, and what is posted may complete at once.
        loop {
            let mut posts = 0;
            if self.engine.has_queued() {
                posts = engine.take_from(&self.posts);
                self.engine.count_taken(posts);
            }
            moved |= engine.progress();
            let ended = engine.tell();
            moved |= posts + ended > 0;
            if ended == 0 || !self.engine.has_queued() {
                return moved;
            }
        }
    }

    /// Wakes the comm thread if it sleeps at least so deep and there is something to do.
    fn wake(&self, depth: usize) {
        // SeqCst: after what is queued and open was counted; `Loop::sleep` stands opposite.
        let sleeps = self.sleep.load(SeqCst) >= depth;
        if sleeps && self.engine.is_pending() {
            self.ring();
        }
    }

    fn ring(&self) {
        lock(&self.desk).rung = true;
        self.bell.notify_one();
    }

    fn command(&self, command: Command) {
        lock(&self.desk).commands.push_back(command);
        self.bell.notify_one();
    }
}

/// The life of the comm thread.
struct Loop<'a> {
    shared: &'a Shared,
    trace: Recorder,
    pace: Pace,
    /// When this wait began.
    since: Option<Instant>,
    /// `Shared::driven` at the last look.
    driven: u64,
    /// How long it naps while others drive.
    nap: Duration,
    /// Since when nothing is to be done.
    idle_since: Option<Instant>,
}

impl Loop<'_> {
    fn new(shared: &Shared, trace: Recorder) -> Loop<'_> {
        Loop { shared, trace, pace: Pace::new(), since: None, driven: 0, nap: NAP, idle_since: None }
    }

    fn run(&mut self) {
        let mut stopping = false;
        // Relaxed: as in `forsake`.
        while !stopping || (self.shared.engine.is_pending() && !self.shared.forsaken.load(Relaxed)) {
            let command = lock(&self.shared.desk).commands.pop_front();
            match command {
                Some(Command::TakeSeat(seat)) => {
                    // Where the system refuses, the thread floats.
                    let _ = bind_this_thread(&seat);
                }
                Some(Command::Abort(status)) => {
                    // A driver inside a call of the transport may never let go, and the job is to end.
                    if let Some(engine) = self.shared.engine.hold().as_mut() {
                        engine.abort(status);
                    }
                }
                Some(Command::Stop) => stopping = true,
                None if self.shared.engine.is_pending() => self.attend(),
                None => self.idle(),
            }
        }
        if let Some(mut engine) = self.shared.engine.hold().take() {
            engine.shut_down();
        }
    }

    /// Drives, or waits for a while if there is nothing to see or somebody else drives.
    fn attend(&mut self) {
        self.idle_since = None;
        let own = self.shared.own_seat.load(Relaxed); // Relaxed: a hint
        let driven = self.shared.driven.load(Relaxed); // Relaxed: a hint
        if !own && driven != self.driven {
            self.driven = driven;
            self.trace.state(State::Napping);
            self.sleep(NAPS, Some(self.nap));
            self.nap = (2 * self.nap).min(LONG_NAP);
            self.pace.others_look();
            self.since = None;
            return;
        }
        self.nap = NAP;
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.shared.drive() == Some(true) {
            self.trace.state(State::Busy);
            self.pace.moved(own);
            self.since = None;
            return;
        }
        match self.pace.pause(since.elapsed(), own) {
            Pause::Nap(limit) => {
                self.trace.state(State::Napping);
                self.sleep(NAPS, Some(limit));
            }
            Pause::Yield => {
                self.trace.state(State::Polling);
                let begin = Instant::now();
                thread::yield_now();
                if begin.elapsed() > YIELD_MAX {
                    self.pace.give_way();
                }
            }
            Pause::Spin => {
                self.trace.state(State::Polling);
                hint::spin_loop();
            }
        }
    }

    /// Naps for some time after the last thing to do, then sleeps.
    fn idle(&mut self) {
        self.trace.state(State::Asleep);
        self.pace.idle();
        self.since = None;
        let since = *self.idle_since.get_or_insert_with(Instant::now);
        if since.elapsed() < LINGER {
            self.sleep(NAPS, Some(LONG_NAP));
        } else {
            self.sleep(SLEEPS, None);
        }
    }

    /// Sleeps until the bell rings or a command comes, or for so long.
    fn sleep(&self, depth: usize, limit: Option<Duration>) {
        let shared = self.shared;
        shared.sleep.store(depth, SeqCst);
        fence(SeqCst); // says so before the last look; `wake` stands opposite
        if limit.is_some() || !shared.engine.is_pending() {
            let desk = lock(&shared.desk);
            let quiet = |desk: &mut Desk| !desk.rung && desk.commands.is_empty();
            let limit = limit.unwrap_or(Duration::MAX);
            let slept = shared.bell.wait_timeout_while(desk, limit, quiet);
            slept.unwrap_or_else(PoisonError::into_inner).0.rung = false;
        }
        shared.sleep.store(AWAKE, SeqCst); // who still rings is heard at the next nap
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

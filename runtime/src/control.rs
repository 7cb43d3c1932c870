//! What ranks do together outside of graphs, and how they make sure that they are about to do the same.
//!
//! Invariant 1: every step begins with an agreement: one all-reduce of five words, of the same shape whatever a rank
//! is about to do, so that ranks which diverge still meet in it, before any of them posts anything else.
//! Invariant 2: what follows an agreement is chosen from its words alone, so alike on all ranks; after one that failed
//! all ranks exchange texts and are in step again.
//! A graph whose launches follow from what all ranks know is agreed on once; its further launches are counted in the
//! next agreement. Ranks of one node that diverge in between see it on their board while they wait, ranks of any node
//! in the last collectives of their graphs; then this rank is told, and its world is at its end. Never here: what a
//! graph does.

use crate::comm::{At, Board, Collective, CollectiveRequest, CommThread, Completion, Post, Reduction, Request};
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::ids::Rank;
use crate::memory::{BlockCell, Memory};
use crate::schedule::Latch;
use crate::trace::Tracer;
use crate::watch::{Other, Report, Vigil, whereabouts};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

/// Tells where the user's program called what is about to be done, as `file:line`.
type Site = dyn Fn() -> Option<String> + Send + Sync;

/// What one rank needs to meet the others.
pub(crate) struct Control {
    rank: Rank,
    size: usize,
    memory: Arc<Memory>,
    comm: RwLock<Option<Arc<CommThread>>>,
    order: Mutex<Order>,
    site: RwLock<Box<Site>>,
    /// How long a wait may be silent.
    silence: Option<Duration>,
    tracer: Arc<Tracer>,
}

/// How far this rank has come; equal on all ranks that are in step.
pub(crate) struct Order {
    /// Collectives begun so far, in graphs and outside.
    pub(crate) collectives: u64,
    /// A failure of this rank that the others have not heard of.
    pub(crate) unheard: Option<Error>,
    /// What was launched since the last agreement.
    pub(crate) since: Fingerprint,
    /// Agreements and relaunches so far, and the latest of them.
    at: At,
    /// What this rank is doing, for the watchdog.
    pub(crate) now: String,
    /// What it did before, and until when.
    last: Option<(String, Instant)>,
    /// Where the other ranks of the node read it; until the end of the transport.
    board: Option<Board>,
    /// Why this rank can do nothing more with the others: they have diverged where nothing could be agreed.
    broken: Option<Error>,
    /// The end of the world has said so.
    told: bool,
}

/// How a step meets other ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meet {
    /// Not at all.
    Alone,
    /// In an agreement on this fingerprint.
    Agreeing(Fingerprint),
    /// In the messages of a graph that was agreed on earlier.
    Again,
}

impl Order {
    /// A step begins. Cost: no allocation that lasts, so that the next one finds its room.
    pub(crate) fn begin(&mut self, what: &str, site: Option<&str>, meet: Meet) {
        let (print, again) = match meet {
            Meet::Alone => (self.at.print, self.at.again),
            Meet::Agreeing(print) => (print.value(), false),
            Meet::Again => (self.since.value(), true),
        };
        let step = self.at.step + u64::from(meet != Meet::Alone);
        self.at = At { step, print, again, inside: true };
        self.now.clear();
        self.now.push_str(what);
        if let Some(site) = site {
            self.now.push_str(" at ");
            self.now.push_str(site);
        }
        self.note();
    }

    /// The step is done.
    pub(crate) fn done(&mut self) {
        let (last, when) = self.last.get_or_insert_with(|| (String::new(), Instant::now()));
        last.clone_from(&self.now);
        *when = Instant::now();
        self.at.inside = false;
        self.note();
    }

    fn note(&self) {
        if let Some(board) = &self.board {
            board.write(self.at, &self.now);
        }
    }

    /// Ranks count steps alike, so two that do different things in one step have diverged. Where both agree they are
    /// told so in step; where one of them runs a graph again, whose messages the other does not know, only this shows.
    fn contradiction(&self) -> Option<Error> {
        let others = self.board.as_ref()?.others();
        let differs =
            |other: &At| other.step == self.at.step && other.print != self.at.print && (other.again || self.at.again);
        let (rank, note, _) = others.into_iter().find(|(_, note, _)| differs(&note.at))?;
        Some(Error::Divergence { rank: Some(rank), here: self.now.clone(), there: note.text })
    }
}

/// What a rank is about to do.
pub(crate) struct Step<'a> {
    /// What counters of traffic call the agreement.
    pub(crate) operation: &'static str,
    /// What errors call the step.
    pub(crate) what: &'a str,
    /// Whatever must be the same on all ranks.
    pub(crate) fingerprint: Fingerprint,
    /// A word of this rank, for the greatest and the least of all.
    pub(crate) word: i64,
    /// Why this rank cannot do it.
    pub(crate) failure: Option<String>,
}

impl<'a> Step<'a> {
    /// A step that `what` describes.
    pub(crate) fn new(what: &'a str) -> Step<'a> {
        Step { operation: "control", what, fingerprint: Fingerprint::of(what), word: 0, failure: None }
    }
}

/// The words of all ranks.
pub(crate) struct Agreed {
    pub(crate) most: i64,
    pub(crate) least: i64,
}

/// One rank's turn to do something with the others: nothing else of this rank comes between.
pub(crate) struct Turn<'a> {
    control: &'a Control,
    pub(crate) comm: Option<Arc<CommThread>>,
    pub(crate) order: MutexGuard<'a, Order>,
}

impl Control {
    pub(crate) fn new(
        (rank, size): (Rank, usize),
        memory: Arc<Memory>,
        (comm, board): (Option<Arc<CommThread>>, Option<Board>),
        silence: Option<Duration>,
        tracer: Arc<Tracer>,
    ) -> Control {
        let (since, now) = (Fingerprint::default(), String::new());
        let (at, broken, told) = (At::default(), None, false);
        let order = Order { collectives: 0, unheard: None, since, at, now, last: None, board, broken, told };
        let order = Mutex::new(order);
        let site: Box<Site> = Box::new(|| None);
        Control { rank, size, memory, comm: RwLock::new(comm), order, site: RwLock::new(site), silence, tracer }
    }

    /// Sets what tells where the program is.
    pub(crate) fn locate_with(&self, site: impl Fn() -> Option<String> + Send + Sync + 'static) {
        *self.site.write().unwrap_or_else(PoisonError::into_inner) = Box::new(site);
    }

    pub(crate) fn comm(&self) -> Result<Option<Arc<CommThread>>> {
        let comm = self.comm.read().unwrap_or_else(PoisonError::into_inner).clone();
        if comm.is_none() && self.size > 1 {
            return Err(Error::Launch("the world was shut down".to_string()));
        }
        Ok(comm)
    }

    /// Takes the comm thread away, for its end.
    pub(crate) fn take_comm(&self) -> Option<Arc<CommThread>> {
        // It may lie in memory that ends with the transport.
        self.order().board = None;
        self.comm.write().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn turn(&self) -> Result<Turn<'_>> {
        let order = self.order();
        if let Some(error) = &order.broken {
            return Err(error.clone());
        }
        Ok(Turn { control: self, comm: self.comm()?, order })
    }

    /// Why this rank cannot end with the others, for the first who asks.
    pub(crate) fn broken(&self) -> Option<Error> {
        let mut order = self.order();
        let told = std::mem::replace(&mut order.told, true);
        order.broken.clone().filter(|_| !told)
    }
}

impl Turn<'_> {
    /// Makes sure that all ranks are about to do this, and that none of them has failed.
    ///
    /// Cost: an all-reduce of five words; nothing on one rank.
    ///
    /// # Errors
    /// Replicated: `Error::Divergence`; `Error::Remote` for the lowest rank that failed, where a failure from outside
    /// of any step is its own rank's own error. Local: `Error::Transport`.
    pub(crate) fn agree(&mut self, step: Step<'_>) -> Result<Agreed> {
        let unheard = self.order.unheard.take();
        let since = std::mem::take(&mut self.order.since);
        let failure = step.failure.or_else(|| unheard.as_ref().map(text_of));
        let word = step.word;
        if self.control.size == 1 {
            return match (failure, unheard) {
                (None, _) => Ok(Agreed { most: word, least: word }),
                (Some(_), Some(error)) => Err(error),
                (Some(message), None) => Err(Error::Remote { rank: self.control.rank, message }),
            };
        }
        let site = self.control.site.read().unwrap_or_else(PoisonError::into_inner)();
        // The line of the program is for the message only: ranks may come to one operation from two lines.
        let print = step.fingerprint.word(since.value());
        self.order.begin(step.what, site.as_deref(), Meet::Agreeing(print));
        let print = print.value() as i64;
        // The greatest complement is the complement of the least.
        let words = [word, !word, i64::from(failure.is_some()), print, !print];
        let cell = self.cell(bytemuck::cast_slice(&words))?;
        let kind = Collective::AllReduce { reduction: Reduction::MaxI64, data: Arc::clone(&cell) };
        self.collective(step.operation, kind)?;
        let [most, not_least, failed, high, not_low] =
            *cell.read().of::<i64>().as_array().expect("as many words as were put in");
        if failed == 0 && high == !not_low {
            return Ok(Agreed { most, least: !not_least });
        }
        self.check()?;
        let at = site.map_or(String::new(), |site| format!(" at {site}"));
        let account =
            Account { failed: failure.is_some(), print, text: failure.unwrap_or(format!("{}{at}", step.what)) };
        let error = self.disagree(&account)?;
        Err(unheard.unwrap_or(error))
    }

    /// What all ranks know after an agreement that failed.
    fn disagree(&mut self, mine: &Account) -> Result<Error> {
        let accounts = self.exchange(&mine.encode())?;
        let accounts: Vec<Account> = accounts.iter().map(|bytes| Account::decode(bytes)).collect();
        if let Some(rank) = accounts.iter().position(|account| account.failed) {
            return Ok(Error::Remote { rank: Rank::from(rank), message: accounts[rank].text.clone() });
        }
        let rank = accounts.iter().position(|account| account.print != mine.print);
        let rank = rank.expect("some rank's fingerprint is another");
        let (here, there) = (mine.text.clone(), accounts[rank].text.clone());
        Ok(Error::Divergence { rank: Some(Rank::from(rank)), here, there })
    }

    /// Every rank's bytes, in the order of ranks; for ranks that have agreed to do this.
    pub(crate) fn exchange(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        let word = size_of::<i64>();
        let length = self.cell(&(bytes.len() as i64).to_ne_bytes())?;
        let lengths = self.control.memory.block(word * self.control.size)?;
        let of_each = vec![word; self.control.size].into();
        let kind = Collective::AllGather { part: length, whole: Arc::clone(&lengths), bytes: of_each };
        self.collective("control", kind)?;
        let lengths: Vec<usize> = lengths.read().of::<i64>().iter().map(|&length| length as usize).collect();
        self.gather(bytes, lengths)
    }

    /// As [`Turn::exchange`], with lengths that are known.
    pub(crate) fn gather(&mut self, bytes: &[u8], lengths: Vec<usize>) -> Result<Vec<Vec<u8>>> {
        let cells = self.cells(bytes, &lengths)?;
        self.gather_into(cells, lengths)
    }

    /// What [`Turn::gather_into`] needs: a rank that lacks the memory can still say so.
    pub(crate) fn cells(&mut self, bytes: &[u8], lengths: &[usize]) -> Result<[Arc<BlockCell>; 2]> {
        Ok([self.cell(bytes)?, self.control.memory.block(lengths.iter().sum())?])
    }

    pub(crate) fn gather_into(
        &mut self,
        [part, whole]: [Arc<BlockCell>; 2],
        lengths: Vec<usize>,
    ) -> Result<Vec<Vec<u8>>> {
        let kind = Collective::AllGather { part, whole: Arc::clone(&whole), bytes: lengths.as_slice().into() };
        self.collective("control", kind)?;
        let whole = whole.read();
        let mut rest = &whole[..];
        let parts = lengths.iter().map(|&length| {
            let (part, behind) = rest.split_at(length);
            rest = behind;
            part.to_vec()
        });
        Ok(parts.collect())
    }

    /// Makes sure that no rank of this node is seen to have diverged from this one.
    ///
    /// # Errors
    /// Local: `Error::Divergence`, from now on in every turn, since nobody knows what the others will do.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(error) = self.order.contradiction() else { return Ok(()) };
        self.order.broken = Some(error.clone());
        self.comm.iter().for_each(|comm| comm.forsake());
        Err(error)
    }

    /// The error of a graph whose last collective shows that some rank ran something else, from now on in every turn.
    pub(crate) fn lose(&mut self) -> Error {
        let (here, there) = (self.order.now.clone(), "something else".to_string());
        let error = Error::Divergence { rank: None, here, there };
        self.order.broken = Some(error.clone());
        self.comm.iter().for_each(|comm| comm.forsake());
        error
    }

    /// Begins to watch a wait.
    pub(crate) fn vigil(&self) -> Vigil {
        Vigil::new(self.control.silence)
    }

    /// Says what this rank waits for, if it has waited long.
    pub(crate) fn watch(&self, vigil: &mut Vigil, progress: u64, open: &dyn Fn() -> String) {
        let now = Instant::now();
        if let Some(waited) = vigil.due(now, progress) {
            let Order { at, now: what, last, board, .. } = &*self.order;
            let last = last.as_ref().map(|(text, when)| (text.as_str(), now - *when));
            let others = board.as_ref().map_or_else(Vec::new, Board::others);
            let others = whereabouts(others.iter().map(|(rank, note, age)| Other {
                rank: *rank,
                step: note.at.step,
                inside: note.at.inside,
                what: &note.text,
                age: *age,
            }));
            Report { rank: self.control.rank, waited, what, step: at.step, open: &open(), last, others }.print();
        }
    }

    /// A block with these bytes.
    pub(crate) fn cell(&self, bytes: &[u8]) -> Result<Arc<BlockCell>> {
        let cell = self.control.memory.block(bytes.len())?;
        cell.write().copy_from_slice(bytes);
        Ok(cell)
    }

    /// A collective outside of any graph, for ranks that have agreed to do it.
    pub(crate) fn collective(&mut self, operation: &'static str, kind: CollectiveRequest) -> Result<()> {
        let Some(comm) = &self.comm else { return Ok(()) };
        let begun = self.control.tracer.begin();
        let sequence = self.order.collectives;
        self.order.collectives += 1;
        let waiter = Arc::new(Waiter::default());
        let completion = Arc::clone(&waiter) as Arc<dyn Completion>;
        comm.post(Post { operation, request: Request::Collective { sequence, kind }, completion, index: 0 });
        let comm = Arc::clone(comm);
        comm.poke();
        // What comes soon comes without a switch of threads.
        for _ in 0..DRIVES {
            if waiter.ended.is_open() {
                break;
            }
            if comm.wants_driver() && !comm.drive() {
                thread::yield_now();
            }
        }
        comm.leave();
        let mut vigil = self.vigil();
        while !waiter.ended.wait_a_while() {
            self.check()?;
            self.watch(&mut vigil, 0, &|| comm.outstanding());
        }
        let outcome = waiter.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        let outcome = outcome.expect("set before the latch opens");
        if outcome.is_err() {
            self.check()?;
        }
        self.order.done();
        let what = begun.map_or(String::new(), |_| format!("{operation}: {}", self.order.now));
        self.control.tracer.main(begun, &what, self.control.memory.bytes_in_use());
        outcome
    }
}

/// How often a thread that waits for a collective drives the transport itself before it leaves that to others.
const DRIVES: u32 = 64;

/// A failure as the other ranks read it.
pub(crate) fn text_of(error: &Error) -> String {
    match error {
        Error::Task { task, message, .. } if task == "caller" => message.clone(),
        error => error.to_string(),
    }
}

/// What a rank says of itself when ranks disagree.
struct Account {
    failed: bool,
    print: i64,
    text: String,
}

impl Account {
    fn encode(&self) -> Vec<u8> {
        [&[u8::from(self.failed)], &self.print.to_ne_bytes()[..], self.text.as_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Account {
        let (print, text) = bytes[1..].split_first_chunk().expect("written by encode");
        let text = String::from_utf8_lossy(text).into_owned();
        Account { failed: bytes[0] != 0, print: i64::from_ne_bytes(*print), text }
    }
}

#[derive(Default)]
struct Waiter {
    ended: Latch,
    outcome: Mutex<Option<Result<()>>>,
}

impl Completion for Waiter {
    fn completed(self: Arc<Self>, _index: u32, outcome: Result<()>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.ended.open();
    }
}

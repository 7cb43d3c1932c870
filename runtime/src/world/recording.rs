//! A trace of all ranks: begun and ended by all of them together, written into one file by rank 0.
//!
//! Clocks are compared when a trace begins and when it ends. Every rank renders its own part; rank 0 takes one part
//! after the other, in pieces, so that no rank holds another's part whole.
//! Invariant: the file has its name only when it is complete; until then it is called `.NAME.unfinished`.

use super::World;
use crate::control::{Step, Turn};
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::graph::{Access, Graph};
use crate::ids::Rank;
use crate::trace::{CLOSING, Clock, Exchange, OPENING, Stage, Text};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Exchanges of clocks at either end; the quickest of them bounds the difference best.
const EXCHANGES: usize = 16;
/// So much of a rank's part travels at a time.
const PIECE_BYTES: usize = 1 << 20;

/// A trace that is being recorded.
pub(super) struct Recording {
    path: PathBuf,
    /// Where it is written, on rank 0.
    file: Option<File>,
    /// This rank's readings and rank 0's.
    begun: [Exchange; 2],
}

/// The file, on rank 0, as tasks share it.
type Output = Arc<Mutex<Option<BufWriter<File>>>>;

impl World {
    /// Begins to record what every thread of every rank does, for a file that rank 0 will write. Collective.
    ///
    /// Cost: while it records, tens of nanoseconds and 24 bytes for each task.
    ///
    /// # Errors
    /// Replicated: `Error::File` if rank 0 cannot write there; `Error::Config` if a trace is being recorded already;
    /// `Error::Divergence`.
    pub fn begin_trace(&self, path: &Path) -> Result<()> {
        let mut recording = self.recording();
        if let Some(Recording { path, .. }) = &*recording {
            return Err(Error::Config(format!("a trace for {} is being recorded already", path.display())));
        }
        let mut turn = self.0.control.turn()?;
        turn.agree(step("the begin of a trace", path))?;
        let opened = (self.0.rank == Rank(0)).then(|| File::create(unfinished_name(path))).transpose();
        let file = agree_on_file(&mut turn, path, opened)?;
        let begun = self.compare_clocks(&mut turn)?;
        self.0.tracer.start();
        *recording = Some(Recording { path: path.to_path_buf(), file, begun });
        Ok(())
    }

    /// Notes in the trace, if one is being recorded, that a process of this rank has run something, whose begin and
    /// end lie so far back.
    pub fn trace_process(&self, number: u32, what: &str, began: Duration, ended: Duration) {
        self.0.tracer.process(number, what, began, ended);
    }

    /// True while a trace is being recorded.
    pub fn is_traced(&self) -> bool {
        self.recording().is_some()
    }

    /// Ends the trace and writes it. Collective.
    ///
    /// # Errors
    /// Replicated: `Error::File` if rank 0 cannot write it; `Error::Config` if none is being recorded;
    /// `Error::Divergence`.
    pub fn end_trace(&self) -> Result<()> {
        let Some(Recording { path, file, begun }) = self.recording().take() else {
            return Err(Error::Config("no trace is being recorded".to_string()));
        };
        let mut turn = self.0.control.turn()?;
        turn.agree(step("the end of a trace", &path))?;
        let Some(recorded) = self.0.tracer.stop() else { return Ok(()) };
        let ended = self.compare_clocks(&mut turn)?;
        let (origin, near) = self.origin(&mut turn, recorded.began())?;
        drop(turn);
        let stage = Stage {
            rank: self.0.rank,
            size: self.0.size,
            host: self.0.node.host.clone(),
            clock: Clock::between([&begun[0], &ended[0]], [&begun[1], &ended[1]], near),
            origin,
            workers: self.workers(),
        };
        let mut outcome = self.gather_text(recorded.render(stage), file);
        if self.0.rank == Rank(0) {
            outcome = outcome.and_then(|()| fs::rename(unfinished_name(&path), &path));
            if outcome.is_err() {
                // What is left of a failure is no trace; if it cannot be removed, the first error says more.
                let _ = fs::remove_file(unfinished_name(&path));
            }
        }
        agree_on_file(&mut self.0.control.turn()?, &path, outcome)
    }

    /// Ends the trace without a file. Local: for a program that fails.
    pub fn discard_trace(&self) {
        if let Some(Recording { path, file: Some(_), .. }) = self.recording().take() {
            // An empty file in the way harms nobody.
            let _ = fs::remove_file(unfinished_name(&path));
        }
        drop(self.0.tracer.stop());
    }

    fn recording(&self) -> MutexGuard<'_, Option<Recording>> {
        lock(&self.0.recording)
    }

    /// This rank's readings of its clock and rank 0's, around some exchanges.
    fn compare_clocks(&self, turn: &mut Turn<'_>) -> Result<[Exchange; 2]> {
        let (mut mine, mut first) = (Exchange::default(), Exchange::default());
        if self.0.size == 1 {
            return Ok([mine, first]);
        }
        let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("a word"));
        for _ in 0..EXCHANGES {
            let sent = Exchange::reading();
            let all = turn.gather(&sent.to_ne_bytes(), vec![size_of::<u64>(); self.0.size])?;
            mine.heard.push(Exchange::reading());
            mine.sent.push(sent);
            first.sent.push(word(&all[0]));
        }
        let heard: Vec<u8> = mine.heard.iter().flat_map(|reading| reading.to_ne_bytes()).collect();
        let all = turn.gather(&heard, vec![heard.len(); self.0.size])?;
        first.heard = all[0].chunks(size_of::<u64>()).map(word).collect();
        Ok([mine, first])
    }

    /// When rank 0 began, and whether this rank is on its node.
    fn origin(&self, turn: &mut Turn<'_>, began: u64) -> Result<(u64, bool)> {
        if self.0.size == 1 {
            return Ok((began, true));
        }
        let all = turn.exchange(&[&began.to_ne_bytes(), self.0.node.host.as_bytes()].concat())?;
        let (origin, host) = all[0].split_first_chunk().expect("written above");
        Ok((u64::from_ne_bytes(*origin), host == self.0.node.host.as_bytes()))
    }

    /// Writes the parts of all ranks into rank 0's file, in the order of ranks.
    fn gather_text(&self, text: Text, file: Option<File>) -> io::Result<()> {
        let (text, output) = (Arc::new(Mutex::new(text)), Arc::new(Mutex::new(file.map(BufWriter::new))));
        let mut outcome = write(&output, OPENING.as_bytes());
        if self.0.rank == Rank(0) {
            let mut piece = vec![0; PIECE_BYTES];
            let mut filled = PIECE_BYTES;
            while filled == PIECE_BYTES {
                filled = lock(&text).fill(&mut piece);
                outcome = outcome.and_then(|()| write(&output, &piece[..filled]));
            }
        }
        // All ranks take part even after a failure, so that none waits for another.
        for rank in 1..self.0.size {
            let taken = self.take_part(Rank::from(rank), &text, &output).map_err(io::Error::other);
            outcome = outcome.and(taken);
        }
        outcome?;
        write(&output, CLOSING.as_bytes())?;
        lock(&output).as_mut().map_or(Ok(()), BufWriter::flush)
    }

    /// Brings one rank's part to rank 0 and writes it there, piece by piece.
    fn take_part(&self, rank: Rank, text: &Arc<Mutex<Text>>, output: &Output) -> Result<()> {
        let filled = Arc::new(AtomicUsize::new(0));
        let graph = self.run_recorded(self.piece_graph(rank, text, output, &filled))?;
        // Relaxed: written by a task of an epoch that has ended.
        while self.max(i64::from(self.0.rank == rank && filled.load(Relaxed) == PIECE_BYTES))? != 0 {
            self.run_again(&graph)?;
        }
        Ok(())
    }

    /// A graph each run of which brings one piece, its length first; `filled` is that length, on its rank.
    fn piece_graph(
        &self,
        rank: Rank,
        text: &Arc<Mutex<Text>>,
        output: &Output,
        filled: &Arc<AtomicUsize>,
    ) -> Result<Graph> {
        let word = size_of::<u64>();
        let mut graph = self.graph("trace");
        let piece = graph.block(rank, word + PIECE_BYTES)?;
        graph.task("render", rank, 0, &[Access::Write(piece)], || {
            let (text, filled) = (Arc::clone(text), Arc::clone(filled));
            Box::new(move |context| {
                let mut piece = context.write(0);
                let (length, room) = piece.split_at_mut(word);
                let count = lock(&text).fill(room);
                length.copy_from_slice(&(count as u64).to_ne_bytes());
                filled.store(count, Relaxed); // read when the epoch has ended
                Ok(())
            })
        })?;
        graph.task("write", Rank(0), 0, &[Access::Read(piece)], || {
            let output = Arc::clone(output);
            Box::new(move |context| {
                let piece = context.read(0);
                let (length, bytes) = piece.split_first_chunk().expect("room for the length");
                let bytes = &bytes[..u64::from_ne_bytes(*length) as usize];
                write(&output, bytes).map_err(|error| error.to_string())
            })
        })?;
        graph.finish()
    }
}

/// What rank 0 did with the file, on all ranks.
fn agree_on_file<T>(turn: &mut Turn<'_>, path: &Path, outcome: io::Result<T>) -> Result<T> {
    let (value, failure) = match outcome {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error.to_string())),
    };
    match turn.agree(Step { failure, ..step("the file of a trace", path) }) {
        Ok(_) => Ok(value.expect("a failed rank does not agree")),
        Err(Error::Remote { message, .. }) => Err(Error::File { path: path.to_path_buf(), message }),
        Err(error) => Err(error),
    }
}

fn step<'a>(what: &'a str, path: &Path) -> Step<'a> {
    let path = path.to_string_lossy();
    Step { fingerprint: Fingerprint::of(what).bytes(path.as_bytes()), ..Step::new(what) }
}

/// Writes on rank 0, and nothing elsewhere.
fn write(output: &Output, bytes: &[u8]) -> io::Result<()> {
    lock(output).as_mut().map_or(Ok(()), |file| file.write_all(bytes))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name beside the file's own, so that renaming moves no bytes.
fn unfinished_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".unfinished");
    path.with_file_name(name)
}

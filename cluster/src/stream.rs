//! Rows that are read when they are needed, for data larger than memory, and the thread that reads ahead.
//!
//! Whoever needs a piece says which piece he will need next. A thread of the stream reads that one meanwhile; what it
//! has not begun to read, the one who needs it reads himself, so nobody waits for a thread that waits.
//! Invariant: at most `AHEAD` pieces and one for each borrower are in memory, within the world's budget.
//! Never here: what the rows mean, messages. A failed read is told to the borrower alone.

use girih_arrays::NpyFile;
use girih_runtime::memory::{BlockCell, Memory, ReadGuard};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Where rows are read from, by any thread at any time.
pub trait RowSource: fmt::Debug + Send + Sync {
    /// Fills `out` with these rows, in C order and the machine's byte order.
    ///
    /// # Errors
    /// Local: a text that names the source.
    fn read(&self, rows: Range<usize>, out: &mut [u8]) -> Result<(), String>;
}

impl RowSource for NpyFile {
    fn read(&self, rows: Range<usize>, out: &mut [u8]) -> Result<(), String> {
        self.read_rows(&rows, out).map_err(|error| error.to_string())
    }
}

/// How rows of a source are held.
#[derive(Clone, Copy, Debug)]
pub struct Storage {
    /// Bytes of rows in memory at a time on this rank; the result does not depend on it.
    pub bytes_max: usize,
    /// Rows that the source reads at once whatever is asked for, such as those of a compressed chunk; 1 if any.
    pub together: usize,
}

/// Pieces longer than this are read no faster.
const PIECE_BYTES_MAX: usize = 8 << 20;
/// So much between two rows is read along sooner than each of them by itself.
const GAP_BYTES: usize = 64 << 10;

impl Storage {
    /// Rows of a piece, for so many borrowers at once.
    pub(crate) fn piece_rows(&self, row_bytes: usize, borrowers: usize) -> usize {
        let most = self.bytes_max / (2 * borrowers + 2);
        let whole = self.together.max(1) * row_bytes;
        if whole <= most {
            return self.together.max(1) * (most.min(PIECE_BYTES_MAX) / whole).max(1);
        }
        (most.min(PIECE_BYTES_MAX) / row_bytes).max(1)
    }
}

/// The rows of a source, a piece at a time.
pub(crate) struct Stream(Arc<Shared>);

struct Shared {
    source: Arc<dyn RowSource>,
    memory: Arc<Memory>,
    row_bytes: usize,
    piece_rows: usize,
    /// Rows so far apart are read together.
    near: usize,
    ahead_max: usize,
    state: Mutex<State>,
    /// Something was asked for, was read, or the stream is gone.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Pieces that will be needed, not begun.
    wanted: VecDeque<Range<usize>>,
    /// By first row: pieces being read ahead, `None`, and those that were.
    ahead: HashMap<usize, Option<Result<Arc<BlockCell>, String>>>,
    free: Vec<Arc<BlockCell>>,
    closed: bool,
}

/// A piece in memory, given back when dropped.
pub(crate) struct Loan {
    shared: Arc<Shared>,
    cell: Arc<BlockCell>,
    bytes: usize,
}

impl Stream {
    /// For pieces of at most `piece_rows` rows, which `borrowers` threads use at once; the source reads so many rows
    /// `together` whatever is asked for.
    pub(crate) fn new(
        source: Arc<dyn RowSource>,
        memory: &Arc<Memory>,
        row_bytes: usize,
        (piece_rows, together): (usize, usize),
        borrowers: usize,
    ) -> Stream {
        let shared = Arc::new(Shared {
            source,
            memory: Arc::clone(memory),
            row_bytes,
            piece_rows,
            near: together.max(GAP_BYTES / row_bytes.max(1)),
            ahead_max: borrowers + 1,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        // Without the thread, everybody reads for himself.
        drop(thread::Builder::new().name("girih-rows".to_string()).spawn(move || own.read_ahead()));
        Stream(shared)
    }

    /// These rows, and those that the caller will need `next`.
    pub(crate) fn lend(&self, rows: &Range<usize>, next: &Range<usize>) -> Result<Loan, String> {
        let shared = &self.0;
        let bytes = rows.len() * shared.row_bytes;
        let mut state = shared.lock();
        state.wanted.retain(|wanted| wanted.start != rows.start);
        while let Some(None) = state.ahead.get(&rows.start) {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let ready = state.ahead.remove(&rows.start).flatten();
        let known = next.start == rows.start || state.ahead.contains_key(&next.start);
        let known = known || state.wanted.iter().any(|wanted| wanted.start == next.start);
        if !known && state.wanted.len() + state.ahead.len() < shared.ahead_max {
            state.wanted.push_back(next.clone());
            shared.changed.notify_all();
        }
        let cell = match ready {
            Some(cell) => cell?,
            None => {
                let cell = shared.buffer(&mut state)?;
                drop(state);
                shared.read(rows, cell)?
            }
        };
        Ok(Loan { shared: Arc::clone(shared), cell, bytes })
    }

    /// Calls `each` with the bytes of some rows, which ascend and may repeat.
    ///
    /// Cost: reads those rows, and what lies between rows that are near one another; a piece's memory.
    pub(crate) fn rows(&self, rows: &[usize], mut each: impl FnMut(&[u8])) -> Result<(), String> {
        let shared = &self.0;
        let mut rest = rows;
        while let Some(&first) = rest.first() {
            let apart = |pair: &[usize]| pair[1] - pair[0] > shared.near || pair[1] - first >= shared.piece_rows;
            let (span, later) = rest.split_at(rest.windows(2).position(apart).map_or(rest.len(), |last| last + 1));
            let read = first..span[span.len() - 1] + 1;
            let cell = shared.buffer(&mut shared.lock())?;
            let bytes = read.len() * shared.row_bytes;
            let loan = Loan { shared: Arc::clone(shared), cell: shared.read(&read, cell)?, bytes };
            let block = loan.read();
            span.iter().for_each(|row| each(&block[(row - first) * shared.row_bytes..][..shared.row_bytes]));
            rest = later;
        }
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Not joined: the thread may be waiting for what the caller holds, such as Python's lock.
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(&self.0.source).finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn buffer(&self, state: &mut State) -> Result<Arc<BlockCell>, String> {
        let kept = state.free.pop();
        kept.map_or_else(|| self.memory.block(self.piece_rows * self.row_bytes).map_err(|error| error.to_string()), Ok)
    }

    fn read(&self, rows: &Range<usize>, cell: Arc<BlockCell>) -> Result<Arc<BlockCell>, String> {
        let read = self.source.read(rows.clone(), &mut cell.write()[..rows.len() * self.row_bytes]);
        if read.is_err() {
            self.lock().free.push(Arc::clone(&cell));
        }
        read.map(|()| cell)
    }

    /// The thread: reads what is wanted, in the order in which it was asked for.
    fn read_ahead(&self) {
        let mut state = self.lock();
        while !state.closed {
            let Some(rows) = state.wanted.pop_front() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            // Without room the one who needs the piece will find out himself.
            let Ok(cell) = self.buffer(&mut state) else { continue };
            state.ahead.insert(rows.start, None);
            drop(state);
            let read = self.read(&rows, cell);
            state = self.lock();
            state.ahead.insert(rows.start, Some(read));
            self.changed.notify_all();
        }
    }
}

impl Loan {
    /// The block; its first bytes are those of the rows.
    pub(crate) fn read(&self) -> ReadGuard {
        self.cell.read()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.shared.lock().free.push(Arc::clone(&self.cell));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// Rows of one byte, its number; row 13 cannot be read.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl RowSource for Counting {
        fn read(&self, rows: Range<usize>, out: &mut [u8]) -> Result<(), String> {
            self.0.fetch_add(1, Relaxed); // Relaxed: a count, read when all is done
            if rows.contains(&13) {
                return Err("row 13 is damaged".to_string());
            }
            out.iter_mut().zip(rows).for_each(|(byte, row)| *byte = row as u8);
            Ok(())
        }
    }

    #[test]
    fn pieces_come_whole_in_any_order_and_within_the_budget() {
        let (source, memory) = (Arc::new(Counting::default()), Memory::new(64 << 10));
        let stream = Stream::new(Arc::<Counting>::clone(&source), &memory, 1, (4, 1), 1);
        for first in [0, 4, 8, 0, 16, 4, 4, 20, 8] {
            let (rows, next) = (first..first + 4, first + 4..first + 8);
            if rows.contains(&13) {
                continue;
            }
            let loan = stream.lend(&rows, &next).unwrap();
            let bytes: Vec<u8> = rows.map(|row| row as u8).collect();
            assert_eq!(loan.read()[..loan.bytes()], bytes);
        }
        assert!(stream.lend(&(12..16), &(0..4)).is_err(), "a failed read is told");
        assert!(stream.lend(&(0..4), &(4..8)).is_ok(), "and the next may succeed");
        // Relaxed: as above.
        assert!(source.0.load(Relaxed) <= 22, "a piece is read once for each borrower, and once ahead");
    }

    #[test]
    fn single_rows_are_read_with_those_near_them() {
        // Rows up to the length of a piece apart are near, for they are short.
        let (source, memory) = (Arc::new(Counting::default()), Memory::new(64 << 10));
        let stream = Stream::new(Arc::<Counting>::clone(&source), &memory, 1, (4, 1), 1);
        let mut found = Vec::new();
        let wanted = [2, 2, 4, 5, 6, 40, 43, 44];
        stream.rows(&wanted, |row| found.push(usize::from(row[0]))).unwrap();
        assert_eq!(found, wanted);
        assert_eq!(source.0.load(Relaxed), 4, "2 to 5, 6, 40 to 43, 44"); // Relaxed: as above
        assert!(stream.rows(&[13], |_| {}).is_err(), "a failed read is told");
        assert!(stream.rows(&[], |_| unreachable!("no row is wanted")).is_ok());
    }

    #[test]
    fn pieces_are_whole_chunks_where_these_fit() {
        let storage = |bytes_max, together| Storage { bytes_max, together };
        assert_eq!(storage(4 << 20, 1).piece_rows(1 << 10, 1), 1 << 10);
        assert_eq!(storage(4 << 20, 300).piece_rows(1 << 10, 1), 900);
        assert_eq!(storage(4 << 20, 3000).piece_rows(1 << 10, 1), 1 << 10);
        assert_eq!(storage(1, 1).piece_rows(1 << 10, 4), 1);
    }
}

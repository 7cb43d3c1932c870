//! Checks the MPI transport from within: run by `tests/mpi_transport.rs` on every rank of a launcher.
//!
//! `transport_check PLUGINS [MODE]` prints one line `ok rank R of N: …` and exits with 0, or says what is wrong
//! and exits with another status. What is expected is computed from ranks and lengths, without any message.

#![allow(unsafe_code, reason = "plays the part of another user of MPI, by calling the library directly")]

use girih_runtime::comm::{Collective, MpiTransport, Reduction, Ticket, Transport};
use girih_runtime::ids::{Rank, Tag};
use girih_runtime::memory::{BlockCell, Memory};
use girih_runtime::mpi::Launcher;
use libloading::os::unix::Library;
use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

type Checked<T = ()> = Result<T, String>;

const WAIT: Duration = Duration::from_secs(40);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let plugins = PathBuf::from(arguments.first().expect("usage: transport_check PLUGINS [MODE …]"));
    let mode = arguments.get(1).map_or("all", String::as_str).to_owned();
    let other: Vec<String> = arguments.into_iter().skip(2).collect();
    // Another thread than the main one, as in a world.
    let body = move || check(&plugins, &mode, &other);
    match thread::spawn(body).join().expect("the checks do not panic") {
        Ok(text) => {
            print_line(&text);
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, reason = "this is a program")]
fn print_line(text: &str) {
    println!("{text}");
}

fn check(plugins: &Path, mode: &str, other: &[String]) -> Checked<String> {
    match mode {
        "all" => check_all(plugins),
        "large" => check_large(plugins),
        "broken" => check_broken(plugins),
        "abort" => check_abort(plugins),
        "joined" => check_joined(plugins, other),
        "open" => open(plugins).map(|transport| format!("ok: {transport:?}")),
        _ => Err(format!("no mode {mode}")),
    }
}

fn open(plugins: &Path) -> Checked<Option<MpiTransport>> {
    let launcher = Launcher::detect(&|name| std::env::var(name).ok());
    MpiTransport::open(plugins, launcher.as_ref()).map_err(|error| error.to_string())
}

fn check_all(plugins: &Path) -> Checked<String> {
    let Some(transport) = open(plugins)? else { return Ok("ok alone".into()) };
    let mut wire = Wire { transport, memory: Memory::new(1 << 30), tickets: 0 };
    wire.node()?;
    wire.messages(&[0, 1, 7, 8, 1000, 4096, 65_537, 3 << 20])?;
    wire.many_messages(300)?;
    // On either side of what goes through rings, of two ranks and of more.
    wire.collectives(&[0, 8, 1000, 5000, 14_336, 14_344, 65_536, 1 << 20])?;
    // None is both long and longer than expected: Open MPI 4.1 writes such a message past its buffer.
    wire.wrong_lengths(&[(100, 50), (50, 100), (0, 8), (8, 0), (600, 100_000), (99_999, 100_000)])?;
    wire.collectives(&[16])?;
    wire.wrong_rank()?;
    // The same with messages of a few bytes to a call, so that nearly everything is split.
    wire.transport.set_call_bytes_max(16);
    wire.messages(&[0, 1, 15, 16, 17, 32, 1000])?;
    wire.collectives(&[0, 8, 16, 24, 1000])?;
    wire.wrong_lengths(&[(20, 30), (30, 20), (3, 0), (0, 3)])?;
    wire.collectives(&[16])?;
    wire.finish()
}

/// Rank 0 ends a job whose other ranks wait for a message that will not come.
fn check_abort(plugins: &Path) -> Checked<String> {
    let Some(transport) = open(plugins)? else { return Err("needs a launcher".into()) };
    let mut wire = Wire { transport, memory: Memory::new(1 << 20), tickets: 0 };
    wire.collectives(&[8])?;
    if wire.transport.rank() == Rank(0) {
        wire.transport.abort(7);
    }
    let cell = wire.block(8)?;
    let ticket = wire.ticket();
    wire.transport.post_receive(ticket, Rank(0), Tag(5), cell.write()).map_err(|error| error.to_string())?;
    wire.wait(&[ticket])?;
    Ok("ok, which is wrong".into())
}

/// Messages and gathers of more than 1 GiB, and below 4 GiB in all on each rank.
fn check_large(plugins: &Path) -> Checked<String> {
    let Some(transport) = open(plugins)? else { return Err("needs a launcher".into()) };
    let mut wire = Wire { transport, memory: Memory::new(6 << 30), tickets: 0 };
    wire.messages(&[(1 << 30) + 5])?;
    wire.collectives(&[600 << 20])?;
    wire.finish()
}

/// A message in pieces that is a whole piece too short leaves receives behind: such a transport ends its job.
fn check_broken(plugins: &Path) -> Checked<String> {
    let Some(transport) = open(plugins)? else { return Err("needs a launcher".into()) };
    let mut wire = Wire { transport, memory: Memory::new(1 << 20), tickets: 0 };
    wire.transport.set_call_bytes_max(16);
    wire.wrong_lengths(&[(16, 32), (32, 16)])?;
    print_line(&format!("ok rank {}", wire.here()));
    wire.collectives(&[16])?;
    // A launcher that hears of the end drops what ranks have just written.
    thread::sleep(Duration::from_secs(1));
    wire.transport.shut_down();
    thread::sleep(WAIT);
    Err("the job went on".into())
}

/// Joins an MPI that another part of this program has initialised: `joined LIBRARY LEVEL`.
fn check_joined(plugins: &Path, other: &[String]) -> Checked<String> {
    let [library, level] = other else { return Err("usage: joined LIBRARY LEVEL".into()) };
    type Init = unsafe extern "C" fn(*mut i32, *mut *mut *mut u8, i32, *mut i32) -> i32;
    type Plain = unsafe extern "C" fn() -> i32;
    // SAFETY: an MPI library, whose two functions have these types in every family.
    let library = unsafe { Library::open(Some(library), libloading::os::unix::RTLD_NOW) };
    let library = library.map_err(|error| error.to_string())?;
    // SAFETY: as above.
    let init = unsafe { library.get::<Init>(b"MPI_Init_thread\0") }.map_err(|error| error.to_string())?;
    // SAFETY: as above.
    let finalize = unsafe { library.get::<Plain>(b"MPI_Finalize\0") }.map_err(|error| error.to_string())?;
    let (required, mut provided) = (level.parse().map_err(|_| "no level")?, 0);
    if required >= 0 {
        // SAFETY: null arguments are allowed, and MPI is not initialised.
        unsafe { init(std::ptr::null_mut(), std::ptr::null_mut(), required, &mut provided) };
    }
    let result = open(plugins).and_then(|transport| {
        let transport = transport.ok_or("an MPI that is there was not joined")?;
        if !transport.joined() {
            return Err("the transport believes that it initialised MPI".into());
        }
        let mut wire = Wire { transport, memory: Memory::new(1 << 20), tickets: 0 };
        wire.collectives(&[8, 1000])?;
        wire.finish()
    });
    if required >= 0 {
        // SAFETY: on the thread that initialised MPI; the transport has not finalised it.
        unsafe { finalize() };
    }
    result
}

/// A transport with blocks and tickets of its own.
struct Wire {
    transport: MpiTransport,
    memory: Arc<Memory>,
    tickets: Ticket,
}

/// Byte `index` of message `tag` from one rank to another.
fn byte(from: usize, to: usize, tag: usize, index: usize) -> u8 {
    (from * 131 + to * 17 + tag * 7 + index * 3 + index / 251) as u8
}

/// Word `index` of what a rank gives to a reduction.
fn word(rank: usize, index: usize) -> i64 {
    let spread = (rank as i64 + 1)
        .wrapping_mul(0x5851_f42d_4c95_7f2d)
        .wrapping_add((index as i64).wrapping_mul(0x1405_7b7e_f767));
    spread ^ (spread >> 29)
}

/// The length of a rank's part of a gather: some are empty, none alike.
fn part_bytes(rank: usize, bytes: usize) -> usize {
    if rank % 3 == 1 { 0 } else { bytes + 5 * rank }
}

/// A block and what it must hold when its collective is complete.
struct Check {
    what: String,
    cell: Arc<BlockCell>,
    expected: Vec<u8>,
}

type Posted = (Vec<Ticket>, Vec<Check>);

/// These words of what these ranks give, combined, as bytes.
fn combined(reduction: Reduction, ranks: Range<usize>, words: Range<usize>) -> Vec<u8> {
    let of_index = |index| {
        let words = ranks.clone().map(|rank| word(rank, index));
        let combined = match reduction {
            Reduction::SumI64 => words.fold(0, i64::wrapping_add),
            Reduction::MaxI64 => words.fold(i64::MIN, i64::max),
            Reduction::MinI64 => words.fold(i64::MAX, i64::min),
        };
        combined.to_ne_bytes()
    };
    words.flat_map(of_index).collect()
}

fn same(found: &[u8], expected: impl ExactSizeIterator<Item = u8>, what: &str) -> Checked {
    if found.len() != expected.len() {
        return Err(format!("{what}: {} bytes where {} were expected", found.len(), expected.len()));
    }
    match found.iter().zip(expected).position(|(&found, expected)| found != expected) {
        None => Ok(()),
        Some(index) => Err(format!("{what}: byte {index} is wrong")),
    }
}

impl Wire {
    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    fn block(&self, bytes: usize) -> Checked<Arc<BlockCell>> {
        let cell = self.memory.block(bytes).map_err(|error| error.to_string())?;
        cell.write().fill(0xee);
        Ok(cell)
    }

    fn filled(&self, bytes: usize, byte: impl Fn(usize) -> u8) -> Checked<Arc<BlockCell>> {
        let cell = self.block(bytes)?;
        cell.write().iter_mut().enumerate().for_each(|(index, slot)| *slot = byte(index));
        Ok(cell)
    }

    fn here(&self) -> usize {
        self.transport.rank().index()
    }

    /// Waits for these tickets and no others.
    fn wait(&mut self, tickets: &[Ticket]) -> Checked {
        let mut open: HashSet<Ticket> = tickets.iter().copied().collect();
        let (start, mut done) = (Instant::now(), Vec::new());
        while !open.is_empty() {
            self.transport.progress(&mut done).map_err(|error| error.to_string())?;
            for ticket in done.drain(..) {
                if !open.remove(&ticket) {
                    return Err(format!("ticket {ticket} came twice or unasked"));
                }
            }
            if start.elapsed() > WAIT {
                return Err(format!("rank {} waited too long", self.here()));
            }
            thread::yield_now();
        }
        Ok(())
    }

    fn node(&mut self) -> Checked {
        let (here, size) = (self.here(), self.transport.size());
        if self.transport.local_size() != size || self.transport.local_rank() != here {
            return Err("the test runs on one node, and the transport sees several".into());
        }
        let give = |rank: usize| vec![rank as u8; part_bytes(rank, 3)];
        let found = self.transport.gather_on_node(&give(here)).map_err(|error| error.to_string())?;
        let expected: Vec<Vec<u8>> = (0..size).map(give).collect();
        if found != expected {
            return Err(format!("gathered on the node: {found:?}"));
        }
        Ok(())
    }

    /// Every rank sends to every rank, itself too, with receives posted in another order than sends.
    fn messages(&mut self, lengths: &[usize]) -> Checked {
        let (here, size) = (self.here(), self.transport.size());
        let (mut tickets, mut received) = (Vec::new(), Vec::new());
        for (tag, &bytes) in lengths.iter().enumerate().rev() {
            for from in 0..size {
                let (cell, ticket) = (self.block(bytes)?, self.ticket());
                let posted = self.transport.post_receive(ticket, Rank::from(from), Tag(tag as u32), cell.write());
                posted.map_err(|error| error.to_string())?;
                tickets.push(ticket);
                received.push((from, tag, cell));
            }
        }
        for (tag, &bytes) in lengths.iter().enumerate() {
            for to in (0..size).rev() {
                let (cell, ticket) = (self.filled(bytes, |index| byte(here, to, tag, index))?, self.ticket());
                let posted = self.transport.post_send(ticket, Rank::from(to), Tag(tag as u32), cell.read());
                posted.map_err(|error| error.to_string())?;
                tickets.push(ticket);
            }
        }
        self.wait(&tickets)?;
        for (from, tag, cell) in received {
            let expected = (0..lengths[tag]).map(|index| byte(from, here, tag, index));
            same(&cell.read(), expected, &format!("message {tag} from {from}"))?;
        }
        Ok(())
    }

    /// Many messages in flight to the next rank, pairs of them with one tag, sends first.
    fn many_messages(&mut self, count: usize) -> Checked {
        let (here, size) = (self.here(), self.transport.size());
        let (to, from) = ((here + 1) % size, (here + size - 1) % size);
        let (mut tickets, mut received) = (Vec::new(), Vec::new());
        for message in 0..count {
            let (cell, ticket) = (self.filled(message, |index| byte(here, to, message, index))?, self.ticket());
            let posted = self.transport.post_send(ticket, Rank::from(to), Tag((message / 2) as u32), cell.read());
            posted.map_err(|error| error.to_string())?;
            tickets.push(ticket);
        }
        for message in 0..count {
            let (cell, ticket) = (self.block(message)?, self.ticket());
            let tag = Tag((message / 2) as u32);
            let posted = self.transport.post_receive(ticket, Rank::from(from), tag, cell.write());
            posted.map_err(|error| error.to_string())?;
            tickets.push(ticket);
            received.push(cell);
        }
        self.wait(&tickets)?;
        for (message, cell) in received.iter().enumerate() {
            let expected = (0..message).map(|index| byte(from, here, message, index));
            same(&cell.read(), expected, &format!("message {message} of many"))?;
        }
        Ok(())
    }

    /// All collectives with blocks of these lengths, all in flight at once.
    fn collectives(&mut self, lengths: &[usize]) -> Checked {
        let mut posted = Posted::default();
        for (tag, &bytes) in lengths.iter().enumerate() {
            posted.0.push(self.post(Collective::Barrier)?);
            self.post_broadcasts(tag, bytes, &mut posted)?;
            for reduction in [Reduction::SumI64, Reduction::MaxI64, Reduction::MinI64] {
                self.post_reductions(reduction, bytes, &mut posted)?;
            }
            self.post_movements(tag, bytes, &mut posted)?;
        }
        self.wait(&posted.0)?;
        let found = |Check { what, cell, expected }: Check| same(&cell.read(), expected.into_iter(), &what);
        posted.1.into_iter().try_for_each(found)
    }

    fn post_broadcasts(&mut self, tag: usize, bytes: usize, (tickets, checks): &mut Posted) -> Checked {
        let here = self.here();
        for root in 0..self.transport.size() {
            let cell = self.filled(bytes, |index| if root == here { byte(root, 0, tag, index) } else { 0 })?;
            tickets.push(self.post(Collective::Broadcast { root: Rank::from(root), data: cell.write() })?);
            let expected = (0..bytes).map(|index| byte(root, 0, tag, index)).collect();
            checks.push(Check { what: format!("broadcast {tag} of {root}"), cell, expected });
        }
        Ok(())
    }

    fn post_reductions(&mut self, reduction: Reduction, bytes: usize, (tickets, checks): &mut Posted) -> Checked {
        let (here, size) = (self.here(), self.transport.size());
        let mut check = |what: &str, cell: Arc<BlockCell>, ranks: Range<usize>, words: Range<usize>| {
            let what = format!("{what}, {reduction:?}");
            checks.push(Check { what, cell, expected: combined(reduction, ranks, words) });
        };
        let words = bytes / 8;
        let cell = self.words(words)?;
        tickets.push(self.post(Collective::AllReduce { reduction, data: cell.write() })?);
        check("all-reduce", cell, 0..size, 0..words);
        for root in 0..size {
            let cell = self.words(words)?;
            tickets.push(self.post(Collective::Reduce { root: Rank::from(root), reduction, data: cell.write() })?);
            check("reduce", cell, if root == here { 0..size } else { here..here + 1 }, 0..words);
        }
        for inclusive in [true, false] {
            let cell = self.words(words)?;
            tickets.push(self.post(Collective::Scan { reduction, inclusive, data: cell.write() })?);
            check("scan", cell, 0..here + usize::from(inclusive), 0..words);
        }
        let parts: Vec<usize> = (0..size).map(|rank| part_bytes(rank, bytes) / 8).collect();
        let (whole, cell) = (self.words(parts.iter().sum())?.read(), self.block(8 * parts[here])?);
        let (part, bytes) = (cell.write(), parts.iter().map(|words| 8 * words).collect());
        tickets.push(self.post(Collective::ReduceScatter { reduction, whole, part, bytes })?);
        let start = parts[..here].iter().sum::<usize>();
        check("reduce-scatter", cell, 0..size, start..start + parts[here]);
        Ok(())
    }

    fn post_movements(&mut self, tag: usize, bytes: usize, (tickets, checks): &mut Posted) -> Checked {
        let (here, size) = (self.here(), self.transport.size());
        let parts: Arc<[usize]> = (0..size).map(|rank| part_bytes(rank, bytes)).collect();
        let part = self.filled(parts[here], |index| byte(here, 1, tag, index))?;
        let whole = self.block(parts.iter().sum())?;
        let of_rank = |rank: usize| (0..parts[rank]).map(move |index| byte(rank, 1, tag, index));
        let (what, expected) = (format!("gather {tag}"), (0..size).flat_map(of_rank).collect());
        checks.push(Check { what, cell: Arc::clone(&whole), expected });
        let collective = Collective::AllGather { part: part.read(), whole: whole.write(), bytes: Arc::clone(&parts) };
        tickets.push(self.post(collective)?);

        // Some pairs have nothing for each other, and what comes is of another length than what goes.
        let of_pair = |from: usize, to: usize| if (from + to) % 3 == 1 { 0 } else { bytes / 2 + 7 * from + to };
        let given = |from: usize, to: usize| (0..of_pair(from, to)).map(move |index| byte(from, to, tag, index));
        let mine: Vec<u8> = (0..size).flat_map(|to| given(here, to)).collect();
        let sends = self.filled(mine.len(), |index| mine[index])?;
        let expected: Vec<u8> = (0..size).flat_map(|from| given(from, here)).collect();
        let receives = self.block(expected.len())?;
        checks.push(Check { what: format!("all-to-all {tag}"), cell: Arc::clone(&receives), expected });
        let collective = Collective::AllToAll {
            sends: sends.read(),
            receives: receives.write(),
            sent: (0..size).map(|to| of_pair(here, to)).collect(),
            received: (0..size).map(|from| of_pair(from, here)).collect(),
        };
        tickets.push(self.post(collective)?);
        Ok(())
    }

    /// A block of words that this rank gives to a reduction.
    fn words(&self, words: usize) -> Checked<Arc<BlockCell>> {
        let (cell, here) = (self.block(8 * words)?, self.here());
        cell.write().of_mut().iter_mut().enumerate().for_each(|(index, slot)| *slot = word(here, index));
        Ok(cell)
    }

    fn post(&mut self, collective: Collective) -> Checked<Ticket> {
        let ticket = self.ticket();
        self.transport.post_collective(ticket, collective).map_err(|error| error.to_string())?;
        Ok(ticket)
    }

    /// A message that is longer or shorter than expected is an error that names the sender: each `(sent, expected)`.
    fn wrong_lengths(&mut self, cases: &[(usize, usize)]) -> Checked {
        let (here, size) = (self.here(), self.transport.size());
        if size == 1 {
            return Ok(());
        }
        let (to, from) = ((here + 1) % size, (here + size - 1) % size);
        for (case, &(sent, expected)) in cases.iter().enumerate() {
            let (given, taken) = (self.filled(sent, |_| 1)?, self.block(expected)?);
            let (send, receive) = (self.ticket(), self.ticket());
            // A tag of its own: in pieces, the rest of a message of another length is never matched.
            let tag = Tag(1000 + 100 * case as u32 + sent as u32);
            let posted = self.transport.post_receive(receive, Rank::from(from), tag, taken.write());
            posted.map_err(|error| error.to_string())?;
            let posted = self.transport.post_send(send, Rank::from(to), tag, given.read());
            posted.map_err(|error| error.to_string())?;
            let what = format!("{sent} bytes sent where {expected} were expected");
            let text = self.wait_for_error(send).ok_or_else(|| format!("{what}: no error"))?;
            let reasons = ["trunc", "bytes came where"];
            let named = text.starts_with(&format!("rank {here}: MPI_Irecv with rank {from}: "));
            if !named || !reasons.iter().any(|reason| text.to_lowercase().contains(reason)) {
                return Err(format!("{what}: {text}"));
            }
        }
        Ok(())
    }

    /// The first error, with the send complete; `None` if none comes in time.
    fn wait_for_error(&mut self, send: Ticket) -> Option<String> {
        let (start, mut done, mut found) = (Instant::now(), Vec::new(), None);
        while start.elapsed() < WAIT && (found.is_none() || !done.contains(&send)) {
            if let Err(error) = self.transport.progress(&mut done) {
                found.get_or_insert(error.to_string());
            }
            thread::yield_now();
        }
        found
    }

    /// A rank that does not exist is refused when it is named.
    fn wrong_rank(&mut self) -> Checked {
        let (cell, ticket) = (self.block(8)?, self.ticket());
        let nobody = Rank::from(self.transport.size());
        match self.transport.post_send(ticket, nobody, Tag(0), cell.read()) {
            Ok(()) => Err("a send to nobody was accepted".into()),
            Err(error) if error.to_string().contains(&format!("MPI_Isend with {nobody}: ")) => Ok(()),
            Err(error) => Err(format!("a send to nobody: {error}")),
        }
    }

    fn finish(mut self) -> Checked<String> {
        let (rank, size) = (self.transport.rank(), self.transport.size());
        let mut done = Vec::new();
        self.transport.progress(&mut done).map_err(|error| error.to_string())?;
        if !done.is_empty() {
            return Err(format!("tickets {done:?} came late"));
        }
        let (version, host) = (self.transport.library_version(), self.transport.processor_name());
        self.transport.shut_down();
        Ok(format!("ok {rank} of {size}: {version} on {host}"))
    }
}

//! One rank's use of MPI: joined or initialised, with communicators of our own.
//!
//! Invariant: one thread makes a session and ends it; it also initialised MPI if anyone of ours did. One thread at a
//! time uses it, the same one unless `any_thread`.
//! Our messages never meet those of others (mpi4py), because only our communicators carry them.
//! Never here: the owners of buffers, splitting, tickets.

#![allow(unsafe_code, reason = "calls through the plug-in's table")]

use super::load::load;
use super::table::{Finished, Table, level};
use super::{Family, Launcher};
use crate::error::{Error, Result};
use crate::ids::{Rank, Tag};
use std::ffi::{c_char, c_int};
use std::path::Path;

const TEXT_MAX: usize = 8192;

/// A call under way, or the null request once a test has seen it complete.
#[repr(transparent)]
#[derive(Debug)]
pub(crate) struct Request(u64);

/// Which of our communicators carries a message: what is posted for a collective never meets a message of a graph.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lane {
    Messages,
    Collectives,
}

/// MPI, initialised, with our communicators.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) table: &'static Table,
    rank: Rank,
    size: usize,
    pub(super) local_rank: usize,
    pub(super) local_size: usize,
    tag_max: u32,
    /// Point-to-point messages.
    messages: u64,
    /// Collectives of all ranks.
    collectives: u64,
    /// The ranks of this node.
    pub(super) node: u64,
    /// Memory that the ranks of this node share.
    pub(super) window: Option<u64>,
    /// We initialised MPI, so we finalise it.
    ours: bool,
    /// MPI allows calls from any thread, one at a time.
    any_thread: bool,
}

impl Session {
    /// Joins the MPI of this process, or initialises the one that the launcher belongs to.
    ///
    /// `plugins` is the directory of the plug-ins. `None` if this process is alone: no launcher started it and
    /// nobody else initialised MPI, or the launcher started a single rank and no plug-in can be loaded.
    /// Collective; to be called on the thread that will make all other calls.
    ///
    /// # Errors
    /// Local: `Error::Launch` if launcher, library and plug-ins do not fit, or MPI was initialised by
    /// others with too low a thread level.
    pub(crate) fn open(plugins: &Path, launcher: Option<&Launcher>) -> Result<Option<Session>> {
        let Some(table) = load(plugins, launcher)? else { return Ok(None) };
        let (mut initialized, mut finalized) = (0, 0);
        // SAFETY: allowed at any time; both pointers are valid.
        launch(table, "MPI_Initialized", unsafe { (table.life)(&mut initialized, &mut finalized) })?;
        let parallel = launcher.is_some_and(Launcher::is_parallel);
        if finalized != 0 && parallel {
            return Err(Error::Launch("MPI was finalised before girih started; start girih first".into()));
        }
        if finalized != 0 || (initialized == 0 && launcher.is_none()) {
            return Ok(None);
        }
        let ours = initialized == 0;
        let level = if ours { initialize(table)? } else { join(table)? };
        let session = Session { any_thread: level >= level::SERIALIZED, ..Session::with_communicators(table, ours)? };
        if let Some(launcher) = launcher
            && launcher.is_parallel()
            && session.size == 1
        {
            let version = session.library_version();
            session.close();
            return Err(single_world(launcher, &version));
        }
        Ok(Some(session))
    }

    fn with_communicators(table: &'static Table, ours: bool) -> Result<Session> {
        let (mut messages, mut collectives, mut node) = (0, 0, 0);
        let (mut rank, mut size, mut local_rank, mut local_size, mut tag_max) = (0, 0, 0, 0, 0);
        // SAFETY: MPI is initialised, all ranks come here, and every pointer is valid.
        launch(table, "MPI_Comm_dup", unsafe { (table.dup_world)(&mut messages) })?;
        // SAFETY: as above.
        launch(table, "MPI_Comm_dup", unsafe { (table.dup_world)(&mut collectives) })?;
        // SAFETY: as above, and `collectives` was made by the call before.
        launch(table, "MPI_Comm_split_type", unsafe { (table.split_node)(collectives, &mut node) })?;
        // SAFETY: as above.
        launch(table, "MPI_Comm_rank", unsafe { (table.rank_and_size)(messages, &mut rank, &mut size) })?;
        // SAFETY: as above, and `node` was made by a call before.
        let code = unsafe { (table.rank_and_size)(node, &mut local_rank, &mut local_size) };
        launch(table, "MPI_Comm_rank", code)?;
        // SAFETY: as above.
        launch(table, "MPI_Comm_get_attr", unsafe { (table.tag_max)(messages, &mut tag_max) })?;
        let unsigned = |number: c_int| u32::try_from(number).expect("MPI counts ranks from zero");
        Ok(Session {
            table,
            rank: Rank(unsigned(rank)),
            size: unsigned(size) as usize,
            local_rank: unsigned(local_rank) as usize,
            local_size: unsigned(local_size) as usize,
            tag_max: unsigned(tag_max),
            messages,
            collectives,
            node,
            window: None,
            ours,
            any_thread: false,
        })
    }

    /// This rank.
    pub(crate) fn rank(&self) -> Rank {
        self.rank
    }

    /// The number of ranks.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// This rank's place among the ranks of its node.
    pub(crate) fn local_rank(&self) -> usize {
        self.local_rank
    }

    /// The number of ranks on this node.
    pub(crate) fn local_size(&self) -> usize {
        self.local_size
    }

    /// True if any thread may make the calls, one at a time.
    pub(crate) fn any_thread(&self) -> bool {
        self.any_thread
    }

    /// True if others had initialised MPI, who will then finalise it too.
    pub(crate) fn joined(&self) -> bool {
        !self.ours
    }

    /// The library's name and version, such as `MPICH 4.0.2`.
    pub(crate) fn library_version(&self) -> String {
        // SAFETY: the text has room for `TEXT_MAX` bytes.
        let text = text(|text, length| unsafe { (self.table.library_version)(text, TEXT_MAX, length) });
        // What follows tells of the build, on the same line or on many more.
        let line = text.lines().next().unwrap_or_default().replace(" Version:", "");
        line.split(',').next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The node's name, as MPI gives it.
    pub(crate) fn processor_name(&self) -> String {
        // SAFETY: the text has room for `TEXT_MAX` bytes.
        text(|text, length| unsafe { (self.table.processor_name)(text, TEXT_MAX, length) })
    }

    /// What each rank of this node gives, in the order of local ranks. Collective over the node; blocks.
    ///
    /// # Errors
    /// Local: `Error::Transport`.
    pub(crate) fn gather_on_node(&self, part: &[u8]) -> Result<Vec<Vec<u8>>> {
        let lengths = self.allgather_on_node(&(part.len() as u64).to_ne_bytes())?;
        let lengths = lengths.chunks_exact(8).map(|length| {
            let length = length.try_into().expect("eight bytes");
            usize::try_from(u64::from_ne_bytes(length)).expect("a length of this machine")
        });
        let lengths: Vec<usize> = lengths.collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let mut padded = part.to_vec();
        padded.resize(longest, 0);
        let whole = self.allgather_on_node(&padded)?;
        let cut = |(rank, &length): (usize, &usize)| whole[rank * longest..rank * longest + length].to_vec();
        Ok(lengths.iter().enumerate().map(cut).collect())
    }

    /// The parts of all ranks of this node, which have one length.
    fn allgather_on_node(&self, part: &[u8]) -> Result<Vec<u8>> {
        let mut whole = vec![0; part.len() * self.local_size];
        let count = c_int::try_from(part.len()).expect("what is gathered on a node at start is small");
        // SAFETY: `part` has `count` bytes, and `whole` that many for every rank of the node.
        let code = unsafe { (self.table.allgather)(part.as_ptr().cast(), count, whole.as_mut_ptr().cast(), self.node) };
        self.check("MPI_Allgather", None, code)?;
        Ok(whole)
    }

    /// Starts to send bytes.
    ///
    /// # Safety
    /// Until the request is complete, the bytes stay where they are and nobody writes them.
    pub(crate) unsafe fn send(&self, lane: Lane, data: *const u8, bytes: usize, to: Rank, tag: Tag) -> Result<Request> {
        let (count, tag) = (count(bytes), self.tag("MPI_Isend", to, tag)?);
        // SAFETY: by this function's contract.
        self.start("MPI_Isend", Some(to), |request| unsafe {
            (self.table.isend)(data.cast(), count, number(to), tag, self.lane(lane), request)
        })
    }

    /// Starts to receive at most `bytes` bytes.
    ///
    /// # Safety
    /// Until the request is complete, the bytes stay where they are and nobody reads or writes them.
    pub(crate) unsafe fn receive(
        &self,
        lane: Lane,
        data: *mut u8,
        bytes: usize,
        from: Rank,
        tag: Tag,
    ) -> Result<Request> {
        let (count, tag) = (count(bytes), self.tag("MPI_Irecv", from, tag)?);
        // SAFETY: by this function's contract.
        self.start("MPI_Irecv", Some(from), |request| unsafe {
            (self.table.irecv)(data.cast(), count, number(from), tag, self.lane(lane), request)
        })
    }

    /// Starts a barrier.
    pub(crate) fn barrier(&self) -> Result<Request> {
        // SAFETY: a communicator of ours.
        self.start("MPI_Ibarrier", None, |request| unsafe { (self.table.ibarrier)(self.collectives, request) })
    }

    /// Starts a broadcast.
    ///
    /// # Safety
    /// As for [`Session::receive`].
    pub(crate) unsafe fn broadcast(&self, data: *mut u8, bytes: usize, root: Rank) -> Result<Request> {
        let count = count(bytes);
        // SAFETY: by this function's contract.
        self.start("MPI_Ibcast", Some(root), |request| unsafe {
            (self.table.ibcast)(data.cast(), count, number(root), self.collectives, request)
        })
    }

    /// Starts a reduction in place; `reduction` is one of the table's numbers.
    ///
    /// # Safety
    /// As for [`Session::receive`]; the address is aligned to 8 bytes.
    pub(crate) unsafe fn all_reduce(&self, data: *mut u8, words: usize, reduction: i32) -> Result<Request> {
        let words = count(words);
        // SAFETY: by this function's contract.
        self.start("MPI_Iallreduce", None, |request| unsafe {
            (self.table.iallreduce)(data.cast(), words, reduction, self.collectives, request)
        })
    }

    /// Starts a reduction to `root`, where `given` is null for one in place; elsewhere nothing is written.
    ///
    /// # Safety
    /// As for [`Session::send`] with `given`, as for [`Session::all_reduce`] with `result`.
    pub(crate) unsafe fn reduce(
        &self,
        given: *const u8,
        result: *mut u8,
        words: usize,
        reduction: i32,
        root: Rank,
    ) -> Result<Request> {
        let words = count(words);
        // SAFETY: by this function's contract.
        self.start("MPI_Ireduce", Some(root), |request| unsafe {
            let (given, result) = (given.cast(), result.cast());
            (self.table.ireduce)(given, result, words, reduction, number(root), self.collectives, request)
        })
    }

    /// Starts a scan in place; rank 0 of one that is not `inclusive` is left with words without meaning.
    ///
    /// # Safety
    /// As for [`Session::all_reduce`].
    pub(crate) unsafe fn scan(&self, data: *mut u8, words: usize, reduction: i32, inclusive: bool) -> Result<Request> {
        let (words, inclusive) = (count(words), c_int::from(inclusive));
        // SAFETY: by this function's contract.
        self.start("MPI_Iscan", None, |request| unsafe {
            (self.table.iscan)(data.cast(), words, reduction, inclusive, self.collectives, request)
        })
    }

    /// Starts a reduction of `whole`, of which rank r gets the r-th part, of `counts[r]` words.
    ///
    /// # Safety
    /// As for [`Session::send`] with `whole` and `counts`; as for [`Session::receive`] with `part`; both aligned.
    pub(crate) unsafe fn reduce_scatter(
        &self,
        whole: *const u8,
        part: *mut u8,
        counts: &[c_int],
        reduction: i32,
    ) -> Result<Request> {
        assert!(counts.len() == self.size, "one part for each rank");
        // SAFETY: by this function's contract.
        self.start("MPI_Ireduce_scatter", None, |request| unsafe {
            let (whole, part) = (whole.cast(), part.cast());
            (self.table.ireduce_scatter)(whole, part, counts.as_ptr(), reduction, self.collectives, request)
        })
    }

    /// Starts to gather `counts[r]` bytes of every rank r at `whole + displacements[r]`, this rank's from `part`.
    ///
    /// # Safety
    /// As for [`Session::send`] with `part`, `counts` and `displacements`; as for [`Session::receive`] with `whole`.
    pub(crate) unsafe fn all_gather(
        &self,
        part: *const u8,
        whole: *mut u8,
        counts: &[c_int],
        displacements: &[c_int],
    ) -> Result<Request> {
        assert!(counts.len() == self.size && displacements.len() == self.size, "one part for each rank");
        let count = counts[self.rank.index()];
        // SAFETY: by this function's contract.
        self.start("MPI_Iallgatherv", None, |request| unsafe {
            (self.table.iallgatherv)(
                part.cast(),
                count,
                whole.cast(),
                counts.as_ptr(),
                displacements.as_ptr(),
                self.collectives,
                request,
            )
        })
    }

    /// Moves messages on, and writes to the begin of `finished` which of the requests are complete, in any order; how
    /// many these are.
    ///
    /// # Errors
    /// Local: `Error::Transport` if the test itself fails; what was written is valid all the same.
    pub(crate) fn test(&self, requests: &mut [Request], finished: &mut Vec<Finished>) -> (usize, Result<()>) {
        if finished.len() < requests.len() {
            finished.resize(requests.len(), Finished::default());
        }
        let mut completed = 0;
        // SAFETY: a request is the bits of a request of this library, and `finished` has room for all.
        let code = unsafe {
            (self.table.test_some)(requests.as_mut_ptr().cast(), requests.len(), finished.as_mut_ptr(), &mut completed)
        };
        (completed, self.check("MPI_Testsome", None, code))
    }

    /// The error of a call that returned `code`, if that is one.
    pub(crate) fn check(&self, call: &'static str, peer: Option<Rank>, code: c_int) -> Result<()> {
        match code {
            0 => Ok(()),
            _ => Err(Error::Transport { rank: self.rank, call, peer, message: error_text(self.table, code) }),
        }
    }

    /// Ends our use of MPI: frees our communicators, and finalises MPI if we initialised it.
    /// Collective; nothing is outstanding.
    pub(crate) fn close(mut self) {
        let (mut initialized, mut finalized) = (0, 0);
        // SAFETY: allowed at any time.
        let code = unsafe { (self.table.life)(&mut initialized, &mut finalized) };
        if code != 0 || finalized != 0 {
            return;
        }
        // What fails here has nobody left to tell; the launcher sees it.
        if let Some(window) = &mut self.window {
            // SAFETY: made by `share_on_node`, freed once; whoever used the parts has ended.
            unsafe { (self.table.unshare)(window) };
        }
        for comm in [&mut self.node, &mut self.collectives, &mut self.messages] {
            // SAFETY: made by `open`, freed once, with nothing outstanding.
            unsafe { (self.table.comm_free)(comm) };
        }
        if self.ours {
            // SAFETY: on the thread that initialised MPI, once.
            unsafe { (self.table.finalize)() };
        }
    }

    /// Ends the job; may return.
    pub(crate) fn abort(&self, status: i32) {
        // SAFETY: allowed at any time while MPI is initialised.
        unsafe { (self.table.abort)(status) };
    }

    fn lane(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Messages => self.messages,
            Lane::Collectives => self.collectives,
        }
    }

    fn start(&self, call: &'static str, peer: Option<Rank>, post: impl FnOnce(*mut u64) -> c_int) -> Result<Request> {
        let mut request = 0;
        self.check(call, peer, post(&mut request))?;
        Ok(Request(request))
    }

    fn tag(&self, call: &'static str, peer: Rank, tag: Tag) -> Result<c_int> {
        if tag.0 > self.tag_max {
            let message = format!("tag {} is beyond this MPI's largest, {}", tag.0, self.tag_max);
            return Err(Error::Transport { rank: self.rank, call, peer: Some(peer), message });
        }
        Ok(c_int::try_from(tag.0).expect("at most the library's largest tag"))
    }
}

/// A count that the splitting above keeps in range.
fn count(count: usize) -> c_int {
    c_int::try_from(count).expect("longer messages are split")
}

fn number(rank: Rank) -> c_int {
    c_int::try_from(rank.0).expect("a rank of an MPI world")
}

/// Initialises MPI; the thread level it provides.
fn initialize(table: &Table) -> Result<c_int> {
    let mut provided = 0;
    // All levels are asked for so that mpi4py, imported later, may use MPI from its own thread.
    // SAFETY: MPI is neither initialised nor finalised.
    launch(table, "MPI_Init_thread", unsafe { (table.init_thread)(level::MULTIPLE, &mut provided) })?;
    if provided < level::FUNNELED {
        return Err(Error::Launch("this MPI library allows no threads; girih needs MPI_THREAD_FUNNELED".into()));
    }
    Ok(provided)
}

/// The thread level of an MPI that others initialised.
fn join(table: &Table) -> Result<c_int> {
    let mut provided = 0;
    // SAFETY: MPI is initialised and not finalised.
    launch(table, "MPI_Query_thread", unsafe { (table.query_thread)(&mut provided) })?;
    if provided < level::MULTIPLE {
        let name = match provided {
            level::SINGLE => "MPI_THREAD_SINGLE",
            level::FUNNELED => "MPI_THREAD_FUNNELED",
            level::SERIALIZED => "MPI_THREAD_SERIALIZED",
            _ => "an unknown thread level",
        };
        return Err(Error::Launch(format!(
            "MPI was initialised with {name}, and girih needs MPI_THREAD_MULTIPLE to share it; start girih first \
             (`gr.size()`), or set `mpi4py.rc.thread_level = \"multiple\"` before `from mpi4py import MPI`"
        )));
    }
    Ok(provided)
}

fn single_world(launcher: &Launcher, version: &str) -> Error {
    let families: Vec<String> = launcher.families.iter().map(Family::to_string).collect();
    Error::Launch(format!(
        "{} started this process, but its MPI library ({version}) finds a world of one rank; \
         launcher and library belong to different MPIs: use the launcher of that library, or {}",
        launcher.described(),
        families.join(" or ")
    ))
}

/// The error of a call at start, if `code` is one.
fn launch(table: &Table, call: &str, code: c_int) -> Result<()> {
    match code {
        0 => Ok(()),
        _ => Err(Error::Launch(format!("{call}: {}", error_text(table, code)))),
    }
}

fn error_text(table: &Table, code: c_int) -> String {
    text(|text, length| {
        // SAFETY: the text has room for `TEXT_MAX` bytes.
        unsafe { (table.error_string)(code, text, TEXT_MAX, length) };
        0
    })
}

/// The text that a call writes; empty if it fails.
fn text(write: impl FnOnce(*mut c_char, *mut usize) -> c_int) -> String {
    let (mut bytes, mut length) = (vec![0; TEXT_MAX], 0);
    let code = write(bytes.as_mut_ptr().cast(), &mut length);
    bytes.truncate(if code == 0 { length } else { 0 });
    String::from_utf8_lossy(&bytes).trim_end_matches(['\0', '\n', ' ']).to_owned()
}

//! The table through which the runtime calls an MPI plug-in; compiled into both.
//!
//! Invariant: a plug-in and a runtime that agree on `abi` and `bytes` agree on every field. Whoever changes
//! a field, its meaning or the order changes [`ABI`].
//! Handles (communicators and requests) travel as the bits of the library's own handles, widened to 64 bits.
//! All calls but `error_string` return an MPI error code, 0 for success; all counts are of bytes unless the
//! name says otherwise. Texts are written without a final zero and cut at the capacity; `length` is what was
//! written.
//! Never here: code.

use std::ffi::{c_char, c_int, c_void};

/// The version of the table below.
pub const ABI: u32 = 3;

/// The name of the one symbol that a plug-in exports; a function of type [`TableFn`].
pub const SYMBOL: &[u8] = b"girih_mpi_table\0";

/// Returns the plug-in's table, which lives as long as the process.
pub type TableFn = unsafe extern "C" fn() -> *const Table;

/// `thread_level` values; the numbers are ours.
pub mod level {
    /// Only one thread exists.
    pub const SINGLE: i32 = 0;
    /// Only the thread that initialised MPI calls it.
    pub const FUNNELED: i32 = 1;
    /// One thread at a time calls MPI.
    pub const SERIALIZED: i32 = 2;
    /// Any thread calls MPI at any time.
    pub const MULTIPLE: i32 = 3;
}

/// `reduction` values; the numbers are ours.
pub mod reduction {
    /// `MPI_SUM` of `MPI_INT64_T`.
    pub const SUM_I64: i32 = 0;
    /// `MPI_MAX` of `MPI_INT64_T`.
    pub const MAX_I64: i32 = 1;
    /// `MPI_MIN` of `MPI_INT64_T`.
    pub const MIN_I64: i32 = 2;
}

/// What one completed request says.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Finished {
    /// Its place in the array that was tested.
    pub index: u64,
    /// Bytes received; without meaning for sends and collectives.
    pub bytes: u64,
    /// Its error code.
    pub code: i32,
    /// Zero.
    pub reserved: i32,
}

/// The calls of one MPI library.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// [`ABI`] of the plug-in.
    pub abi: u32,
    /// The size of this struct in the plug-in.
    pub bytes: u32,

    /// `MPI_Get_library_version`; allowed before initialisation.
    pub library_version: unsafe extern "C" fn(text: *mut c_char, capacity: usize, length: *mut usize) -> c_int,
    /// `MPI_Initialized` and `MPI_Finalized`; allowed at any time.
    pub life: unsafe extern "C" fn(initialized: *mut c_int, finalized: *mut c_int) -> c_int,
    /// `MPI_Init_thread`, and `MPI_ERRORS_RETURN` for `MPI_COMM_WORLD` and `MPI_COMM_SELF`.
    pub init_thread: unsafe extern "C" fn(required: c_int, provided: *mut c_int) -> c_int,
    /// `MPI_Query_thread`.
    pub query_thread: unsafe extern "C" fn(provided: *mut c_int) -> c_int,
    /// `MPI_Finalize`.
    pub finalize: unsafe extern "C" fn() -> c_int,
    /// `MPI_Error_string`, with a text of its own where the library has none.
    pub error_string: unsafe extern "C" fn(code: c_int, text: *mut c_char, capacity: usize, length: *mut usize),
    /// `MPI_Get_processor_name`.
    pub processor_name: unsafe extern "C" fn(text: *mut c_char, capacity: usize, length: *mut usize) -> c_int,

    /// `MPI_Comm_dup` of `MPI_COMM_WORLD`, with `MPI_ERRORS_RETURN`. Collective.
    pub dup_world: unsafe extern "C" fn(comm: *mut u64) -> c_int,
    /// `MPI_Comm_split_type` of `comm` by shared memory, with `MPI_ERRORS_RETURN`. Collective.
    pub split_node: unsafe extern "C" fn(comm: u64, node: *mut u64) -> c_int,
    /// `MPI_Comm_rank` and `MPI_Comm_size`.
    pub rank_and_size: unsafe extern "C" fn(comm: u64, rank: *mut c_int, size: *mut c_int) -> c_int,
    /// The largest tag (`MPI_TAG_UB`).
    pub tag_max: unsafe extern "C" fn(comm: u64, tag: *mut c_int) -> c_int,
    /// `MPI_Comm_free`. Collective.
    pub comm_free: unsafe extern "C" fn(comm: *mut u64) -> c_int,
    /// `MPI_Abort` of `MPI_COMM_WORLD`.
    pub abort: unsafe extern "C" fn(status: c_int) -> c_int,

    /// `MPI_Allgather` of `count` bytes from every rank. Blocks.
    pub allgather: unsafe extern "C" fn(part: *const c_void, count: c_int, whole: *mut c_void, comm: u64) -> c_int,

    /// `MPI_Win_allocate_shared` of `bytes` bytes on each rank of `node`, all in one window. Collective over `node`.
    pub share: unsafe extern "C" fn(node: u64, bytes: usize, window: *mut u64) -> c_int,
    /// `MPI_Win_shared_query`: where the part of rank `owner` of the node begins in this process.
    pub shared_part: unsafe extern "C" fn(window: u64, owner: c_int, start: *mut *mut c_void) -> c_int,
    /// `MPI_Win_free`. Collective over the window's ranks.
    pub unshare: unsafe extern "C" fn(window: *mut u64) -> c_int,

    /// `MPI_Isend`.
    pub isend: unsafe extern "C" fn(
        data: *const c_void,
        count: c_int,
        to: c_int,
        tag: c_int,
        comm: u64,
        request: *mut u64,
    ) -> c_int,
    /// `MPI_Irecv`.
    pub irecv: unsafe extern "C" fn(
        data: *mut c_void,
        count: c_int,
        from: c_int,
        tag: c_int,
        comm: u64,
        request: *mut u64,
    ) -> c_int,
    /// `MPI_Ibarrier`.
    pub ibarrier: unsafe extern "C" fn(comm: u64, request: *mut u64) -> c_int,
    /// `MPI_Ibcast`.
    pub ibcast:
        unsafe extern "C" fn(data: *mut c_void, count: c_int, root: c_int, comm: u64, request: *mut u64) -> c_int,
    /// `MPI_Iallreduce` in place, of `words` 8-byte words.
    pub iallreduce:
        unsafe extern "C" fn(data: *mut c_void, words: c_int, reduction: c_int, comm: u64, request: *mut u64) -> c_int,
    /// `MPI_Ireduce` to rank `root`, of `words` 8-byte words; `given` is null on the root, for in place.
    pub ireduce: unsafe extern "C" fn(
        given: *const c_void,
        result: *mut c_void,
        words: c_int,
        reduction: c_int,
        root: c_int,
        comm: u64,
        request: *mut u64,
    ) -> c_int,
    /// `MPI_Iscan`, or `MPI_Iexscan` if not `inclusive`, in place, of `words` 8-byte words.
    pub iscan: unsafe extern "C" fn(
        data: *mut c_void,
        words: c_int,
        reduction: c_int,
        inclusive: c_int,
        comm: u64,
        request: *mut u64,
    ) -> c_int,
    /// `MPI_Ireduce_scatter`; `counts` has the 8-byte words of each rank's part and stays until completion.
    pub ireduce_scatter: unsafe extern "C" fn(
        whole: *const c_void,
        part: *mut c_void,
        counts: *const c_int,
        reduction: c_int,
        comm: u64,
        request: *mut u64,
    ) -> c_int,
    /// `MPI_Iallgatherv`; `counts` and `displacements` have one entry per rank and stay until completion.
    pub iallgatherv: unsafe extern "C" fn(
        part: *const c_void,
        count: c_int,
        whole: *mut c_void,
        counts: *const c_int,
        displacements: *const c_int,
        comm: u64,
        request: *mut u64,
    ) -> c_int,
    /// `MPI_Testsome`, in runs. Writes one entry of `finished` (room for `count`) per completed request,
    /// in any order, and the null request in its place; null requests may be tested. An error of a single
    /// request is in its entry, not in the returned code.
    pub test_some:
        unsafe extern "C" fn(requests: *mut u64, count: usize, finished: *mut Finished, completed: *mut usize) -> c_int,
}

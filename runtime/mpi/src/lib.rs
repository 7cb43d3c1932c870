//! The MPI calls girih makes, behind a C table: one plug-in for each MPI family.
//!
//! Invariant: no call panics, none keeps a pointer beyond MPI's own rules, and every code that MPI returns
//! is returned. The meaning of each call is with the table, `runtime/src/mpi/table.rs`.
//! Never here: decisions. Which rank sends what, and what an error means, the runtime knows.

#![allow(unsafe_code, reason = "this crate is a boundary between two C interfaces")]
// Each function here is the target of the table's field of the same name, with the field's contract: pointers
// are valid for what the MPI call of that name reads and writes, and handles came from this table.
#![allow(clippy::missing_safety_doc, reason = "the contracts are with the table's fields")]

mod collectives;
#[path = "../../src/mpi/table.rs"]
pub mod table;

use collectives::{iallgatherv, iallreduce, ibarrier, ibcast, ireduce, ireduce_scatter, iscan};
use mpi::ffi;
use std::ffi::{c_char, c_int, c_void};
use std::mem::{MaybeUninit, size_of, transmute_copy};
use std::ptr::null_mut;
use table::{ABI, Finished, Table, level};

const SUCCESS: c_int = ffi::MPI_SUCCESS as c_int;
/// Requests tested by one `MPI_Testsome`; bounds the stack used for its arrays, which take time to clear.
const FEW: usize = 8;
const MANY: usize = 64;
/// Texts are at most this long in any library of the two families.
const TEXT_MAX: usize = 8192;

static TABLE: Table = Table {
    abi: ABI,
    bytes: size_of::<Table>() as u32,
    library_version,
    life,
    init_thread,
    query_thread,
    finalize,
    error_string,
    processor_name,
    dup_world,
    split_node,
    rank_and_size,
    tag_max,
    comm_free,
    abort,
    allgather,
    share,
    shared_part,
    unshare,
    isend,
    irecv,
    ibarrier,
    ibcast,
    iallreduce,
    ireduce,
    iscan,
    ireduce_scatter,
    iallgatherv,
    test_some,
};

/// The table of this plug-in.
// SAFETY: no other library of the process exports this name; the loader asks for it in this file only.
#[unsafe(no_mangle)]
pub extern "C" fn girih_mpi_table() -> *const Table {
    &raw const TABLE
}

/// The bits of a handle, widened.
fn wide<H: Copy>(handle: H) -> u64 {
    const { assert!(size_of::<H>() == 4 || size_of::<H>() == 8) };
    if size_of::<H>() == 4 {
        // SAFETY: `H` is a plain C handle of four bytes.
        u64::from(unsafe { transmute_copy::<H, u32>(&handle) })
    } else {
        // SAFETY: `H` is a plain C handle of eight bytes.
        unsafe { transmute_copy::<H, u64>(&handle) }
    }
}

/// The handle that was widened.
fn narrow<H: Copy>(bits: u64) -> H {
    const { assert!(size_of::<H>() == 4 || size_of::<H>() == 8) };
    if size_of::<H>() == 4 {
        // SAFETY: the low half holds the four bytes of a handle, from `wide`.
        unsafe { transmute_copy::<u32, H>(&(bits as u32)) }
    } else {
        // SAFETY: all bits are those of a handle, from `wide`.
        unsafe { transmute_copy::<u64, H>(&bits) }
    }
}

fn bytes_type() -> ffi::MPI_Datatype {
    // SAFETY: a constant of the C shim, initialised at load time.
    unsafe { ffi::RSMPI_UINT8_T }
}

/// Copies a text that MPI wrote into the caller's room, without its final zero.
unsafe fn hand_out(text: &[u8], written: c_int, out: *mut c_char, capacity: usize, length: *mut usize) {
    let written = usize::try_from(written).unwrap_or(0).min(text.len()).min(capacity);
    // SAFETY: the caller gave room for `capacity` bytes, and the two buffers are distinct.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), out.cast::<u8>(), written) };
    // SAFETY: the caller gave room for the length.
    unsafe { length.write(written) };
}

unsafe extern "C" fn library_version(text: *mut c_char, capacity: usize, length: *mut usize) -> c_int {
    const { assert!(ffi::MPI_MAX_LIBRARY_VERSION_STRING as usize <= TEXT_MAX) };
    let (mut buffer, mut written) = ([0_u8; TEXT_MAX], 0);
    // SAFETY: the buffer has the size the standard asks for; allowed before initialisation.
    let code = unsafe { ffi::MPI_Get_library_version(buffer.as_mut_ptr().cast(), &mut written) };
    // SAFETY: `text` and `length` are valid by the table's contract.
    unsafe { hand_out(&buffer, written, text, capacity, length) };
    code
}

unsafe extern "C" fn processor_name(text: *mut c_char, capacity: usize, length: *mut usize) -> c_int {
    const { assert!(ffi::MPI_MAX_PROCESSOR_NAME as usize <= TEXT_MAX) };
    let (mut buffer, mut written) = ([0_u8; TEXT_MAX], 0);
    // SAFETY: the buffer has the size the standard asks for.
    let code = unsafe { ffi::MPI_Get_processor_name(buffer.as_mut_ptr().cast(), &mut written) };
    // SAFETY: `text` and `length` are valid by the table's contract.
    unsafe { hand_out(&buffer, written, text, capacity, length) };
    code
}

unsafe extern "C" fn error_string(code: c_int, text: *mut c_char, capacity: usize, length: *mut usize) {
    const { assert!(ffi::MPI_MAX_ERROR_STRING as usize <= TEXT_MAX) };
    let (mut buffer, mut written) = ([0_u8; TEXT_MAX], 0);
    // SAFETY: the buffer has the size the standard asks for.
    if unsafe { ffi::MPI_Error_string(code, buffer.as_mut_ptr().cast(), &mut written) } != SUCCESS {
        let unknown = b"an error code without a text";
        // SAFETY: `text` and `length` are valid by the table's contract.
        unsafe { hand_out(unknown, unknown.len() as c_int, text, capacity, length) };
        return;
    }
    // SAFETY: `text` and `length` are valid by the table's contract.
    unsafe { hand_out(&buffer, written, text, capacity, length) };
}

unsafe extern "C" fn life(initialized: *mut c_int, finalized: *mut c_int) -> c_int {
    // SAFETY: allowed at any time, by any thread.
    let code = unsafe { ffi::MPI_Initialized(initialized) };
    if code != SUCCESS {
        return code;
    }
    // SAFETY: allowed at any time, by any thread.
    unsafe { ffi::MPI_Finalized(finalized) }
}

/// The library's number for a level of ours; the standard orders both alike.
fn level_of_library(ours: c_int) -> c_int {
    (match ours {
        level::SINGLE => ffi::MPI_THREAD_SINGLE,
        level::FUNNELED => ffi::MPI_THREAD_FUNNELED,
        level::SERIALIZED => ffi::MPI_THREAD_SERIALIZED,
        _ => ffi::MPI_THREAD_MULTIPLE,
    }) as c_int
}

/// Our number for a level of the library.
fn level_of_ours(library: c_int) -> c_int {
    let levels = [level::MULTIPLE, level::SERIALIZED, level::FUNNELED];
    levels.into_iter().find(|&ours| library >= level_of_library(ours)).unwrap_or(level::SINGLE)
}

unsafe extern "C" fn init_thread(required: c_int, provided: *mut c_int) -> c_int {
    let mut level = 0;
    // SAFETY: null arguments are allowed; the runtime calls this once, before any other MPI call of ours.
    let code = unsafe { ffi::MPI_Init_thread(null_mut(), null_mut(), level_of_library(required), &mut level) };
    // SAFETY: valid by the table's contract.
    unsafe { provided.write(level_of_ours(level)) };
    if code != SUCCESS {
        return code;
    }
    // MPICH raises errors of requests not on their communicator but on one of these two. Whoever initialises
    // MPI may say how they act; mpi4py says the same.
    // SAFETY: constants of the C shim, valid since MPI is initialised.
    let code = unsafe { ffi::MPI_Comm_set_errhandler(ffi::RSMPI_COMM_SELF, ffi::RSMPI_ERRORS_RETURN) };
    if code != SUCCESS {
        return code;
    }
    // SAFETY: as above.
    unsafe { ffi::MPI_Comm_set_errhandler(ffi::RSMPI_COMM_WORLD, ffi::RSMPI_ERRORS_RETURN) }
}

unsafe extern "C" fn query_thread(provided: *mut c_int) -> c_int {
    let mut level = 0;
    // SAFETY: MPI is initialised and not finalised.
    let code = unsafe { ffi::MPI_Query_thread(&mut level) };
    // SAFETY: valid by the table's contract.
    unsafe { provided.write(level_of_ours(level)) };
    code
}

unsafe extern "C" fn finalize() -> c_int {
    // SAFETY: called by the thread that initialised MPI, once, with nothing outstanding.
    unsafe { ffi::MPI_Finalize() }
}

/// Makes a communicator return its errors, and hands it out.
unsafe fn hand_out_comm(comm: ffi::MPI_Comm, out: *mut u64) -> c_int {
    // SAFETY: valid by the table's contract.
    unsafe { out.write(wide(comm)) };
    // SAFETY: a communicator made just now, and a constant of the C shim.
    unsafe { ffi::MPI_Comm_set_errhandler(comm, ffi::RSMPI_ERRORS_RETURN) }
}

unsafe extern "C" fn dup_world(comm: *mut u64) -> c_int {
    let mut made = MaybeUninit::uninit();
    // SAFETY: collective by contract; MPI is initialised.
    let code = unsafe { ffi::MPI_Comm_dup(ffi::RSMPI_COMM_WORLD, made.as_mut_ptr()) };
    if code != SUCCESS {
        return code;
    }
    // SAFETY: written by the successful call.
    unsafe { hand_out_comm(made.assume_init(), comm) }
}

unsafe extern "C" fn split_node(comm: u64, node: *mut u64) -> c_int {
    let mut made = MaybeUninit::uninit();
    // SAFETY: collective by contract; key 0 keeps the order of ranks.
    let code = unsafe {
        ffi::MPI_Comm_split_type(narrow(comm), ffi::RSMPI_COMM_TYPE_SHARED, 0, ffi::RSMPI_INFO_NULL, made.as_mut_ptr())
    };
    if code != SUCCESS {
        return code;
    }
    // SAFETY: written by the successful call.
    unsafe { hand_out_comm(made.assume_init(), node) }
}

unsafe extern "C" fn rank_and_size(comm: u64, rank: *mut c_int, size: *mut c_int) -> c_int {
    // SAFETY: a handle of this table and valid pointers.
    let code = unsafe { ffi::MPI_Comm_rank(narrow(comm), rank) };
    if code != SUCCESS {
        return code;
    }
    // SAFETY: a handle of this table and valid pointers.
    unsafe { ffi::MPI_Comm_size(narrow(comm), size) }
}

unsafe extern "C" fn tag_max(_comm: u64, tag: *mut c_int) -> c_int {
    let (mut value, mut found) = (null_mut::<c_int>(), 0);
    // Asked of the world, which alone is sure to carry the attribute.
    // SAFETY: the attribute's value is written as a pointer, as the standard has it.
    let code = unsafe {
        ffi::MPI_Comm_get_attr(ffi::RSMPI_COMM_WORLD, ffi::MPI_TAG_UB as c_int, (&raw mut value).cast(), &mut found)
    };
    if code == SUCCESS {
        // The standard promises at least this much.
        let promised = 32767;
        // SAFETY: a found attribute points to an integer that lives as long as MPI.
        let value = if found != 0 && !value.is_null() { unsafe { value.read() } } else { promised };
        // SAFETY: valid by the table's contract.
        unsafe { tag.write(value) };
    }
    code
}

unsafe extern "C" fn comm_free(comm: *mut u64) -> c_int {
    // SAFETY: valid by the table's contract.
    let mut handle = narrow(unsafe { comm.read() });
    // SAFETY: a communicator of ours, with nothing outstanding; collective by contract.
    unsafe { ffi::MPI_Comm_free(&mut handle) }
}

unsafe extern "C" fn abort(status: c_int) -> c_int {
    // SAFETY: allowed between initialisation and finalisation.
    unsafe { ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, status) }
}

unsafe extern "C" fn allgather(part: *const c_void, count: c_int, whole: *mut c_void, comm: u64) -> c_int {
    // SAFETY: `part` has `count` bytes and `whole` that many for every rank.
    unsafe { ffi::MPI_Allgather(part, count, bytes_type(), whole, count, bytes_type(), narrow(comm)) }
}

unsafe extern "C" fn share(node: u64, bytes: usize, window: *mut u64) -> c_int {
    let (mut start, mut made) = (null_mut::<c_void>(), MaybeUninit::uninit());
    let Ok(bytes) = ffi::MPI_Aint::try_from(bytes) else { return ffi::MPI_ERR_ARG as c_int };
    // SAFETY: collective over the node by contract; MPI writes the address of this rank's part and the window.
    let code = unsafe {
        let start: *mut c_void = (&raw mut start).cast();
        ffi::MPI_Win_allocate_shared(bytes, 1, ffi::RSMPI_INFO_NULL, narrow(node), start, made.as_mut_ptr())
    };
    if code == SUCCESS {
        // SAFETY: valid by the table's contract, and written by the successful call.
        unsafe { window.write(wide(made.assume_init())) };
    }
    code
}

unsafe extern "C" fn shared_part(window: u64, owner: c_int, start: *mut *mut c_void) -> c_int {
    let (mut bytes, mut unit) = (0, 0);
    // SAFETY: a window of this table; MPI writes an address to `start`, which is valid by the table's contract.
    unsafe { ffi::MPI_Win_shared_query(narrow(window), owner, &mut bytes, &mut unit, start.cast()) }
}

unsafe extern "C" fn unshare(window: *mut u64) -> c_int {
    // SAFETY: valid by the table's contract.
    let mut handle = narrow(unsafe { window.read() });
    // SAFETY: a window of this table, which nobody uses any more; collective by contract.
    unsafe { ffi::MPI_Win_free(&mut handle) }
}

/// Runs a call that starts a request, and hands the request out if it did.
unsafe fn start(request: *mut u64, call: impl FnOnce(*mut ffi::MPI_Request) -> c_int) -> c_int {
    // SAFETY: a constant of the C shim.
    let mut made = unsafe { ffi::RSMPI_REQUEST_NULL };
    let code = call(&mut made);
    if code == SUCCESS {
        // SAFETY: valid by the table's contract.
        unsafe { request.write(wide(made)) };
    }
    code
}

unsafe extern "C" fn isend(
    data: *const c_void,
    count: c_int,
    to: c_int,
    tag: c_int,
    comm: u64,
    request: *mut u64,
) -> c_int {
    // SAFETY: `data` has `count` bytes that nobody writes until the request completes.
    unsafe { start(request, |made| ffi::MPI_Isend(data, count, bytes_type(), to, tag, narrow(comm), made)) }
}

unsafe extern "C" fn irecv(
    data: *mut c_void,
    count: c_int,
    from: c_int,
    tag: c_int,
    comm: u64,
    request: *mut u64,
) -> c_int {
    // SAFETY: `data` has `count` bytes that nobody touches until the request completes.
    unsafe { start(request, |made| ffi::MPI_Irecv(data, count, bytes_type(), from, tag, narrow(comm), made)) }
}

unsafe extern "C" fn test_some(
    requests: *mut u64,
    count: usize,
    finished: *mut Finished,
    completed: *mut usize,
) -> c_int {
    let mut total = 0;
    let mut first = 0;
    while first < count {
        let run = (count - first).min(MANY);
        // SAFETY: the run lies within the caller's `count` requests.
        let handles = unsafe { std::slice::from_raw_parts_mut(requests.add(first), run) };
        // SAFETY: at most as many results are written before as requests were tested before.
        let (code, done) = unsafe {
            let finished = finished.add(total);
            if run <= FEW {
                test_run::<FEW>(handles, first, finished)
            } else {
                test_run::<MANY>(handles, first, finished)
            }
        };
        total += done;
        if code != SUCCESS {
            // SAFETY: valid by the table's contract.
            unsafe { completed.write(total) };
            return code;
        }
        first += run;
    }
    // SAFETY: valid by the table's contract.
    unsafe { completed.write(total) };
    SUCCESS
}

/// Tests at most `N` requests, of which the first has index `first`; how many completed.
unsafe fn test_run<const N: usize>(handles: &mut [u64], first: usize, finished: *mut Finished) -> (c_int, usize) {
    // SAFETY: a constant of the C shim.
    let mut native = [unsafe { ffi::RSMPI_REQUEST_NULL }; N];
    for (slot, &handle) in native.iter_mut().zip(handles.iter()) {
        *slot = narrow(handle);
    }
    // SAFETY: a status is plain integers, for which zero is a value.
    let mut statuses: [ffi::MPI_Status; N] = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut indices = [0; N];
    let mut outcount = 0;
    // SAFETY: all arrays have room for `handles.len()` entries.
    let code = unsafe {
        ffi::MPI_Testsome(
            handles.len() as c_int,
            native.as_mut_ptr(),
            &mut outcount,
            indices.as_mut_ptr(),
            statuses.as_mut_ptr(),
        )
    };
    // `MPI_UNDEFINED`, which says that no request was active, is negative.
    let done = usize::try_from(outcount).unwrap_or(0).min(handles.len());
    // Open MPI returns the first request's own code where the standard says MPI_ERR_IN_STATUS; so the
    // statuses are asked whenever the call failed, and the call's code counts only if none of them explains it.
    let mut explained = false;
    for entry in 0..done {
        let mut bytes = 0;
        // SAFETY: a status that the library has just written.
        let counted = unsafe { ffi::MPI_Get_count(&statuses[entry], bytes_type(), &mut bytes) };
        let of_request = if code == SUCCESS { SUCCESS } else { statuses[entry].MPI_ERROR };
        explained |= of_request != SUCCESS;
        let index = usize::try_from(indices[entry]).unwrap_or(0).min(handles.len() - 1);
        // SAFETY: a constant of the C shim.
        handles[index] = wide(unsafe { ffi::RSMPI_REQUEST_NULL });
        let of_entry = Finished {
            index: (first + index) as u64,
            bytes: if counted == SUCCESS { u64::try_from(bytes).unwrap_or(0) } else { 0 },
            code: of_request,
            reserved: 0,
        };
        // SAFETY: the caller gave room for one entry per request.
        unsafe { finished.add(entry).write(of_entry) };
    }
    (if explained { SUCCESS } else { code }, done)
}

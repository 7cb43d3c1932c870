//! The collectives of the table.
//!
//! Invariant: as in `lib.rs`; every one starts a request and returns at once.
//! Never here: which ranks come, and in which order.

#![allow(unsafe_code, reason = "this crate is a boundary between two C interfaces")]

use super::table::reduction;
use super::{bytes_type, narrow, start};
use mpi::ffi;
use std::ffi::{c_int, c_void};
use std::mem::size_of;

/// `MPI_IN_PLACE`, which bindgen cannot read from its macro: the families with integer handles (MPICH and
/// its relatives) write -1, those with pointer handles (Open MPI, the standard ABI) write 1.
fn in_place() -> *const c_void {
    let address = if size_of::<ffi::MPI_Comm>() == 4 { usize::MAX } else { 1 };
    std::ptr::without_provenance(address)
}

/// A word's type, and the operation for a number of the table.
fn word_and(number: c_int) -> (ffi::MPI_Datatype, ffi::MPI_Op) {
    // SAFETY: constants of the C shim.
    let (word, sum, max, min) = unsafe { (ffi::RSMPI_INT64_T, ffi::RSMPI_SUM, ffi::RSMPI_MAX, ffi::RSMPI_MIN) };
    match number {
        reduction::SUM_I64 => (word, sum),
        reduction::MAX_I64 => (word, max),
        _ => (word, min),
    }
}

pub(crate) unsafe extern "C" fn ibarrier(comm: u64, request: *mut u64) -> c_int {
    // SAFETY: collective by contract.
    unsafe { start(request, |made| ffi::MPI_Ibarrier(narrow(comm), made)) }
}

pub(crate) unsafe extern "C" fn ibcast(
    data: *mut c_void,
    count: c_int,
    root: c_int,
    comm: u64,
    request: *mut u64,
) -> c_int {
    // SAFETY: `data` has `count` bytes that nobody touches until the request completes; collective.
    unsafe { start(request, |made| ffi::MPI_Ibcast(data, count, bytes_type(), root, narrow(comm), made)) }
}

pub(crate) unsafe extern "C" fn iallreduce(
    data: *mut c_void,
    words: c_int,
    reduction: c_int,
    comm: u64,
    request: *mut u64,
) -> c_int {
    let (word, operation) = word_and(reduction);
    // SAFETY: `data` has `words` words that nobody touches until the request completes; collective.
    unsafe { start(request, |made| ffi::MPI_Iallreduce(in_place(), data, words, word, operation, narrow(comm), made)) }
}

pub(crate) unsafe extern "C" fn ireduce(
    given: *const c_void,
    result: *mut c_void,
    words: c_int,
    reduction: c_int,
    root: c_int,
    comm: u64,
    request: *mut u64,
) -> c_int {
    let (word, operation) = word_and(reduction);
    let given = if given.is_null() { in_place() } else { given };
    // SAFETY: both have `words` words, of which nobody touches the result until the request completes; collective.
    unsafe { start(request, |made| ffi::MPI_Ireduce(given, result, words, word, operation, root, narrow(comm), made)) }
}

pub(crate) unsafe extern "C" fn iscan(
    data: *mut c_void,
    words: c_int,
    reduction: c_int,
    inclusive: c_int,
    comm: u64,
    request: *mut u64,
) -> c_int {
    let (word, operation) = word_and(reduction);
    let call = if inclusive == 0 { ffi::MPI_Iexscan } else { ffi::MPI_Iscan };
    // SAFETY: `data` has `words` words that nobody touches until the request completes; collective.
    unsafe { start(request, |made| call(in_place(), data, words, word, operation, narrow(comm), made)) }
}

pub(crate) unsafe extern "C" fn ireduce_scatter(
    whole: *const c_void,
    part: *mut c_void,
    counts: *const c_int,
    reduction: c_int,
    comm: u64,
    request: *mut u64,
) -> c_int {
    let (word, operation) = word_and(reduction);
    // SAFETY: both buffers and the counts stay as they are until the request completes; collective.
    unsafe { start(request, |made| ffi::MPI_Ireduce_scatter(whole, part, counts, word, operation, narrow(comm), made)) }
}

pub(crate) unsafe extern "C" fn iallgatherv(
    part: *const c_void,
    count: c_int,
    whole: *mut c_void,
    counts: *const c_int,
    displacements: *const c_int,
    comm: u64,
    request: *mut u64,
) -> c_int {
    let byte = bytes_type();
    // SAFETY: the buffers and both tables stay as they are until the request completes; collective.
    unsafe {
        start(request, |made| {
            ffi::MPI_Iallgatherv(part, count, byte, whole, counts, displacements, byte, narrow(comm), made)
        })
    }
}

//! The native module of the Python package `girih`. Importing it starts nothing.
//!
//! The interface is documented where Python's tools read it: `bindings/python/girih/_native.pyi`.

#![allow(unsafe_op_in_unsafe_fn, reason = "functions that pyo3 makes of ours within macros")]

mod array;
mod clusters;
mod create;
mod error;
mod explain;
mod fft;
mod functions;
mod handle;
mod index;
mod kmeans;
mod linalg;
mod mailbox;
mod numpy;
mod operand;
mod order;
mod port;
mod progress;
mod random;
mod reductions;
mod spatial;
mod ufunc;
mod world;

use pyo3::prelude::*;

/// The native module.
#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use super::world::{
        abort, all_gather_bytes, barrier, begin_trace, broadcast_bytes, discard_trace, end_trace, rank, report,
        set_plugin_dir, set_progress, shut_down, size, start, trace_process, world_info,
    };

    #[pymodule_export]
    use super::handle::PyArray;

    #[pymodule_export]
    use super::create::{
        arange, asarray, empty, eye, from_local, full, linspace, load, ones, rows_of_rank, save, zeros,
    };

    #[pymodule_export]
    use super::functions::{argument, clip, matmul, reduce, scan, variance, wait, r#where};

    #[pymodule_export]
    use super::ufunc::PyUfunc;

    #[pymodule_export]
    use super::mailbox::PyMailbox;

    #[pymodule_export]
    use super::port::PyPort;

    #[pymodule_export]
    use super::numpy::PySharing;

    #[pymodule_export]
    use super::linalg::{factor, factor_columns, frame_products, tall_qr};

    #[pymodule_export]
    use super::explain::{explain, tiles};

    #[pymodule_export]
    use super::fft::{chirp, fourier, twiddled};

    #[pymodule_export]
    use super::spatial::{distances, square_form};

    #[pymodule_export]
    use super::random::PyStream;

    #[pymodule_export]
    use super::index::{
        broadcast_to, concatenate, diagonal, flatnonzero, may_share_memory, nonzero, shares_memory, transpose,
    };

    #[pymodule_export]
    use super::order::{add_by_integer, argsort, count_integers, distinct_by_rank, search_sorted, select_sorted, sort};

    #[pymodule_export]
    use super::kmeans::{PyModel, PyObservations};
}

//! The native module of the Python package `girih`. Importing it starts nothing.
//!
//! The interface is documented where Python's tools read it: `bindings/python/girih/_native.pyi`.

#![allow(unsafe_op_in_unsafe_fn, reason = "functions that pyo3 makes of ours within macros")]

mod array;
mod create;
mod error;
mod fft;
mod functions;
mod handle;
mod kmeans;
mod linalg;
mod mailbox;
mod numpy;
mod operand;
mod random;
mod spatial;
mod world;

use pyo3::prelude::*;

/// The native module.
#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use super::world::{
        abort, all_gather_bytes, barrier, begin_trace, broadcast_bytes, discard_trace, end_trace, rank, report,
        set_plugin_dir, shut_down, size, start, trace_process, world_info,
    };

    #[pymodule_export]
    use super::handle::PyArray;

    #[pymodule_export]
    use super::create::{
        arange, asarray, empty, eye, from_local, full, linspace, load, ones, rows_of_rank, save, zeros,
    };

    #[pymodule_export]
    use super::functions::{
        absolute, add, all, any, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, bitwise_and, bitwise_or,
        bitwise_xor, cbrt, ceil, clip, copysign, cos, cosh, count_nonzero, divide, equal, exp, exp2, expm1, floor,
        floor_divide, fmax, fmin, greater, greater_equal, hypot, invert, isfinite, isinf, isnan, left_shift, less,
        less_equal, log, log1p, log2, log10, logical_and, logical_not, logical_or, logical_xor, matmul, max, maximum,
        mean, min, minimum, multiply, negative, not_equal, power, prod, reciprocal, remainder, right_shift, rint, sign,
        signbit, sin, sinh, sqrt, square, std, subtract, sum, tan, tanh, transpose, trunc, var, wait, r#where,
    };

    #[pymodule_export]
    use super::mailbox::PyMailbox;

    #[pymodule_export]
    use super::linalg::{factor, frame_products, permute, tall_qr};

    #[pymodule_export]
    use super::fft::{chirp, fourier, twiddled};

    #[pymodule_export]
    use super::spatial::{distances, square_form};

    #[pymodule_export]
    use super::random::PyStream;

    #[pymodule_export]
    use super::kmeans::{PyModel, PyObservations};
}

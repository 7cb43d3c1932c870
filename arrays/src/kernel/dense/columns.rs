//! Steps of factorisations by blocks of columns: a panel, what it does to the columns behind it, and the way back.
//!
//! A block holds whole columns, one after the other. A panel is a block that is final from row `first` on, where its
//! diagonal begins; beside its columns it leaves notes: exchanged rows, or what its reflections are made of.
//! Source: the right-looking algorithms of Golub and Van Loan, "Matrix Computations" (4th ed., 2013), 3.2.11, 4.2.9
//! and 5.2.3, with one row of processes.
//!
//! Invariant: a step's bits follow from its operands alone.

use super::field::Field;
use super::{NOT_POSITIVE, SINGULAR, sign_and_log, times};
use crate::dtype::{Complex32, Complex64, DType};
use bytemuck::{cast_slice, cast_slice_mut};
use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_with_conj as rotate_left,
    apply_block_householder_sequence_transpose_on_the_left_in_place_with_conj as rotate_back_left,
};
use faer::linalg::lu::partial_pivoting::factor::{lu_in_place, lu_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_unit_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, Conj, MatMut, MatRef, Par};
use std::ops::Range;

/// Numbers that a panel adds to a determinant: the real and the imaginary part of its phase, and its logarithm.
pub(crate) const DETERMINANT_PARTS: usize = 3;

/// What is made of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// The lower factor of a Hermitian matrix, of which the lower half is read.
    Cholesky,
    /// Both factors, with rows exchanged. Notes: for each column the row, from `first` on, that came to its place.
    Lu,
    /// The upper factor and reflections. Notes: their triangular factor, and the phases of the diagonal.
    Qr,
}

/// Where a block of columns lies in its matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Rows of the matrix.
    pub(crate) rows: usize,
    /// The block's first column, and the row where its diagonal begins.
    pub(crate) first: usize,
    /// Columns of the block.
    pub(crate) width: usize,
}

/// A panel as other blocks see it: some rows of its columns, and its notes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel<'a> {
    pub(crate) at: Extent,
    /// The rows that `columns` holds.
    pub(crate) held: (usize, usize),
    pub(crate) columns: &'a [u8],
    pub(crate) notes: &'a [u8],
}

macro_rules! for_type {
    ($dtype:expr, $step:ident($($argument:expr),*)) => {
        match $dtype {
            DType::Float32 => $step::<f32>($($argument),*),
            DType::Complex64 => $step::<Complex32>($($argument),*),
            DType::Complex128 => $step::<Complex64>($($argument),*),
            _ => $step::<f64>($($argument),*),
        }
    };
}

impl Method {
    /// Bytes of a panel's notes.
    pub(crate) fn note_bytes(self, item: usize, at: Extent) -> usize {
        match self {
            Method::Cholesky => 0,
            Method::Lu => at.width * size_of::<u64>(),
            Method::Qr => (at.width + 1) * at.diagonal() * item,
        }
    }
}

impl Extent {
    /// Rows from the beginning of the diagonal on.
    pub(crate) fn below(self) -> usize {
        self.rows - self.first
    }

    /// Elements of the diagonal.
    pub(crate) fn diagonal(self) -> usize {
        self.below().min(self.width)
    }
}

impl<'a> Panel<'a> {
    /// Rows of the panel's columns.
    fn rows<T: Field>(&self, rows: Range<usize>) -> MatRef<'a, T> {
        let (start, end) = self.held;
        let all = MatRef::from_column_major_slice(cast_slice(self.columns), end - start, self.at.width);
        all.get(rows.start - start..rows.end - start, ..)
    }

    fn below<T: Field>(&self) -> MatRef<'a, T> {
        self.rows(self.at.first..self.at.rows)
    }

    fn phases<T: Field>(&self) -> &'a [T] {
        let notes: &[T] = cast_slice(self.notes);
        &notes[self.at.width * self.at.diagonal()..]
    }

    /// The triangular factor of the panel's reflections.
    fn reflections<T: Field>(&self) -> MatRef<'a, T> {
        let (width, diagonal) = (self.at.width, self.at.diagonal());
        MatRef::from_column_major_slice(&cast_slice(self.notes)[..width * diagonal], width, diagonal)
    }
}

/// Finishes a block whose columns all panels before it have changed.
///
/// Cost: width²·rows flops or twice as many, with `rows` those below `first`.
///
/// # Errors
/// What is wrong with the matrix, in NumPy's words; the block then holds anything.
pub(crate) fn panel(
    dtype: DType,
    method: Method,
    at: Extent,
    columns: &mut [u8],
    notes: &mut [u8],
) -> Result<(), &'static str> {
    for_type!(dtype, panel_of(method, at, columns, notes))
}

fn panel_of<T: Field>(method: Method, at: Extent, columns: &mut [u8], notes: &mut [u8]) -> Result<(), &'static str> {
    let columns: &mut [T] = cast_slice_mut(columns);
    match method {
        Method::Cholesky => cholesky_panel(at, columns),
        Method::Lu => lu_panel(at, columns, cast_slice_mut(notes)),
        Method::Qr => {
            qr_panel(at, columns, cast_slice_mut(notes));
            Ok(())
        }
    }
}

fn cholesky_panel<T: Field>(at: Extent, columns: &mut [T]) -> Result<(), &'static str> {
    let below = MatMut::from_column_major_slice_mut(columns, at.rows, at.width).get_mut(at.first.., ..);
    let (mut top, rest) = below.split_at_row_mut(at.width);
    let mut room = MemBuffer::new(cholesky_in_place_scratch::<T>(at.width, Par::Seq, faer::Spec::default()));
    let regularization = faer::linalg::cholesky::llt::factor::LltRegularization::default();
    cholesky_in_place(top.rb_mut(), regularization, Par::Seq, MemStack::new(&mut room), faer::Spec::default())
        .map_err(|_| NOT_POSITIVE)?;
    if (0..at.width).any(|i| !top[(i, i)].parts().0.is_finite()) {
        return Err(NOT_POSITIVE);
    }
    solve_lower_triangular_in_place(top.rb().conjugate(), rest.transpose_mut(), Par::Seq);
    for (column, elements) in columns.chunks_mut(at.rows).enumerate() {
        elements[..at.first + column].fill(T::of(0.0, 0.0));
    }
    Ok(())
}

fn lu_panel<T: Field>(at: Extent, columns: &mut [T], exchanged: &mut [u64]) -> Result<(), &'static str> {
    let mut below = MatMut::from_column_major_slice_mut(columns, at.rows, at.width).get_mut(at.first.., ..);
    let (mut order, mut inverse) = (vec![0_usize; at.below()], vec![0_usize; at.below()]);
    let mut room =
        MemBuffer::new(lu_in_place_scratch::<usize, T>(at.below(), at.width, Par::Seq, faer::Spec::default()));
    lu_in_place(below.rb_mut(), &mut order, &mut inverse, Par::Seq, MemStack::new(&mut room), faer::Spec::default());
    // The order of rows as exchanges, one a column, which is all that other blocks need.
    let (mut rows, mut places): (Vec<usize>, Vec<usize>) = ((0..at.below()).collect(), (0..at.below()).collect());
    for (column, exchange) in exchanged.iter_mut().enumerate() {
        let place = places[order[column]];
        *exchange = place as u64;
        rows.swap(column, place);
        places[rows[place]] = place;
        places[rows[column]] = column;
    }
    let singular = (0..at.width).any(|i| below[(i, i)].parts() == (0.0, 0.0));
    if singular { Err(SINGULAR) } else { Ok(()) }
}

fn qr_panel<T: Field>(at: Extent, columns: &mut [T], notes: &mut [T]) {
    let (reflections, phases) = notes.split_at_mut(at.width * at.diagonal());
    let mut below = MatMut::from_column_major_slice_mut(columns, at.rows, at.width).get_mut(at.first.., ..);
    let reflections = MatMut::from_column_major_slice_mut(reflections, at.width, at.diagonal());
    let need = qr_in_place_scratch::<T>(at.below(), at.width, at.width, Par::Seq, faer::Spec::default());
    let mut room = MemBuffer::new(need);
    qr_in_place(below.rb_mut(), reflections, Par::Seq, MemStack::new(&mut room), faer::Spec::default());
    for (i, phase) in phases.iter_mut().enumerate() {
        let (real, imaginary) = below[(i, i)].parts();
        let length = real.hypot(imaginary);
        let (c, s) = if length == 0.0 { (1.0, 0.0) } else { (real / length, imaginary / length) };
        *phase = T::of(c, s);
        for column in i..at.width {
            below[(i, column)] = times(below[(i, column)], c, -s);
        }
    }
}

/// Changes a block that lies at `at` as a panel before it demands.
///
/// Cost: 2·w·width·rows flops for a panel of w columns, twice as many for [`Method::Qr`].
pub(crate) fn update(dtype: DType, method: Method, panel: &Panel<'_>, at: Extent, columns: &mut [u8]) {
    for_type!(dtype, update_of(method, panel, at, columns));
}

fn update_of<T: Field>(method: Method, panel: &Panel<'_>, at: Extent, columns: &mut [u8]) {
    let (columns, first) = (cast_slice_mut::<u8, T>(columns), panel.at.first);
    match method {
        Method::Cholesky => {
            let block = MatMut::from_column_major_slice_mut(columns, at.rows, at.width).get_mut(at.first.., ..);
            let (left, right) = (panel.rows::<T>(at.first..at.rows), panel.rows::<T>(at.first..at.first + at.width));
            matmul(block, Accum::Add, left, right.adjoint(), T::of(-1.0, 0.0), Par::Seq);
        }
        Method::Lu => {
            let exchanged: &[u64] = cast_slice(panel.notes);
            for column in columns.chunks_mut(at.rows) {
                for (row, &other) in exchanged.iter().enumerate() {
                    column.swap(first + row, first + other as usize);
                }
            }
            let block = MatMut::from_column_major_slice_mut(columns, at.rows, at.width).get_mut(first.., ..);
            let (mut top, rest) = block.split_at_row_mut(panel.at.width);
            let (triangle, lower) = panel.below::<T>().split_at_row(panel.at.width);
            solve_unit_lower_triangular_in_place(triangle, top.rb_mut(), Par::Seq);
            matmul(rest, Accum::Add, lower, top.rb(), T::of(-1.0, 0.0), Par::Seq);
        }
        Method::Qr => {
            let mut block = MatMut::from_column_major_slice_mut(columns, at.rows, at.width).get_mut(first.., ..);
            let mut room = MemBuffer::new(rotation_scratch::<T>(panel, at));
            let (basis, factor) = (panel.below::<T>(), panel.reflections());
            rotate_back_left(basis, factor, Conj::Yes, block.rb_mut(), Par::Seq, MemStack::new(&mut room));
            for (i, phase) in panel.phases::<T>().iter().enumerate() {
                let (c, s) = phase.parts();
                for column in 0..at.width {
                    block[(i, column)] = times(block[(i, column)], c, -s);
                }
            }
        }
    }
}

fn rotation_scratch<T: Field>(panel: &Panel<'_>, at: Extent) -> StackReq {
    faer::linalg::householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<T>(
        panel.at.below(),
        panel.at.width,
        at.width,
    )
}

/// Turns a block by the reflections of a panel: q·columns, where `update` makes qᴴ·columns.
///
/// Cost: 4·w·width·rows flops for a panel of w columns.
pub(crate) fn rotate(dtype: DType, panel: &Panel<'_>, at: Extent, columns: &mut [u8]) {
    for_type!(dtype, rotate_of(panel, at, columns));
}

fn rotate_of<T: Field>(panel: &Panel<'_>, at: Extent, columns: &mut [u8]) {
    let block = MatMut::from_column_major_slice_mut(cast_slice_mut::<u8, T>(columns), at.rows, at.width);
    let mut room = MemBuffer::new(rotation_scratch::<T>(panel, at));
    let (basis, factor) = (panel.below::<T>(), panel.reflections());
    rotate_left(basis, factor, Conj::No, block.get_mut(panel.at.first.., ..), Par::Seq, MemStack::new(&mut room));
}

/// Solves for the unknowns of a panel of [`Method::Lu`] and takes them out of the equations above.
///
/// Cost: 2·w·width·(rows above) flops for a panel of w columns.
pub(crate) fn substitute(dtype: DType, panel: &Panel<'_>, at: Extent, columns: &mut [u8]) {
    for_type!(dtype, substitute_of(panel, at, columns));
}

fn substitute_of<T: Field>(panel: &Panel<'_>, at: Extent, columns: &mut [u8]) {
    let Extent { first, width, .. } = panel.at;
    let block = MatMut::from_column_major_slice_mut(cast_slice_mut::<u8, T>(columns), at.rows, at.width);
    let (above, rest) = block.split_at_row_mut(first);
    let mut unknowns = rest.get_mut(..width, ..);
    solve_upper_triangular_in_place(panel.rows::<T>(first..first + width), unknowns.rb_mut(), Par::Seq);
    matmul(above, Accum::Add, panel.rows::<T>(0..first), unknowns.rb(), T::of(-1.0, 0.0), Par::Seq);
}

/// Fills a block with its columns of the unit matrix, each times a phase if there are some.
///
/// Cost: one write an element.
pub(crate) fn unit(dtype: DType, at: Extent, phases: Option<&Panel<'_>>, columns: &mut [u8]) {
    for_type!(dtype, unit_of(at, phases, columns));
}

fn unit_of<T: Field>(at: Extent, phases: Option<&Panel<'_>>, columns: &mut [u8]) {
    let phases: &[T] = phases.map_or(&[], Panel::phases);
    let columns: &mut [T] = cast_slice_mut(columns);
    for (column, elements) in columns.chunks_mut(at.rows).enumerate() {
        elements.fill(T::of(0.0, 0.0));
        elements[at.first + column] = phases.get(column).copied().unwrap_or(T::of(1.0, 0.0));
    }
}

/// Clears what stands below the diagonal.
///
/// Cost: one write an element.
pub(crate) fn clear_below(item: usize, at: Extent, columns: &mut [u8]) {
    for (column, elements) in columns.chunks_mut(at.rows * item).enumerate() {
        let first = (at.first + column + 1).min(at.rows);
        elements[first * item..].fill(0);
    }
}

/// What the diagonal of a panel of [`Method::Lu`] adds to the determinant.
///
/// Cost: a logarithm for each element of the diagonal.
pub(crate) fn determinant(dtype: DType, panel: &Panel<'_>) -> [f64; DETERMINANT_PARTS] {
    for_type!(dtype, determinant_of(panel))
}

fn determinant_of<T: Field>(panel: &Panel<'_>) -> [f64; DETERMINANT_PARTS] {
    let below = panel.below::<T>();
    let exchanged: &[u64] = cast_slice(panel.notes);
    let odd = exchanged.iter().enumerate().filter(|&(row, &other)| other != row as u64).count() % 2 == 1;
    let ((real, imaginary), size) = sign_and_log((0..panel.at.width).map(|i| below[(i, i)].parts()), odd);
    [real, imaginary, size]
}

/// Stores the phase and the logarithm of a determinant, from the parts of all panels.
///
/// Cost: a product for each panel.
pub(crate) fn whole_determinant(dtype: DType, parts: &[f64], out: &mut [u8]) {
    for_type!(dtype, whole_determinant_of(parts, out));
}

fn whole_determinant_of<T: Field>(parts: &[f64], out: &mut [u8]) {
    let (mut phase, mut size) = ((1.0, 0.0), 0.0);
    let zero = |part: &[f64]| part[0] == 0.0 && part[1] == 0.0;
    if parts.chunks_exact(DETERMINANT_PARTS).any(zero) {
        // What follows a pivot of zero is not a number.
        cast_slice_mut::<u8, T>(out).copy_from_slice(&[T::of(0.0, 0.0), T::of(f64::NEG_INFINITY, 0.0)]);
        return;
    }
    for part in parts.chunks_exact(DETERMINANT_PARTS) {
        let (c, s) = (part[0], part[1]);
        phase = (phase.0 * c - phase.1 * s, phase.0 * s + phase.1 * c);
        size += part[2];
    }
    cast_slice_mut::<u8, T>(out).copy_from_slice(&[T::of(phase.0, phase.1), T::of(size, 0.0)]);
}

/// Copies rows from the first to before the second of a block's columns, of `item` bytes each, to where they lie
/// alone.
///
/// Cost: one read and one write an element.
pub(crate) fn copy_rows(item: usize, at: Extent, rows: (usize, usize), columns: &[u8], out: &mut [u8]) {
    let (start, end) = (rows.0 * item, rows.1 * item);
    for (from, to) in columns.chunks(at.rows * item).zip(out.chunks_mut(end - start)) {
        to.copy_from_slice(&from[start..end]);
    }
}

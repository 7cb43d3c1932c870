//! Matrix products of one tile, in one thread.
//!
//! Order: an element of a product is the sum over panels of 256 along k, in ascending order, and its order
//! within a panel follows from k and the number of columns alone. So a row has the same bits in whatever
//! tile it is computed: the library is never given one row or one column, for which it has other loops.

#![allow(unsafe_code, reason = "the matrix library takes pointers; their bounds are checked here")]

use super::cast::cast;
use super::integer::Integer;
use super::vector::{self, Loop};
use crate::dtype::DType;
use bytemuck::{Pod, cast_slice, cast_slice_mut};
use num_complex::Complex;
use std::ops::{Add, Mul};

const PANEL: usize = 256;
const LANES: usize = 16;

/// Multiplies rows by a matrix: `c ← a·b`.
///
/// Shapes: `a` m×k, `b` k×n, `c` m×n, all in row-major order without gaps.
/// Cost: 2·m·n·k flops.
pub(crate) fn rows(dtype: DType, m: usize, k: usize, n: usize, a: &[u8], b: &[u8], c: &mut [u8]) {
    match dtype {
        DType::Float64 => rows_inexact::<f64>(m, k, n, cast_slice(a), cast_slice(b), cast_slice_mut(c)),
        DType::Float32 => rows_inexact::<f32>(m, k, n, cast_slice(a), cast_slice(b), cast_slice_mut(c)),
        DType::Complex64 => rows_inexact::<Complex<f32>>(m, k, n, cast_slice(a), cast_slice(b), cast_slice_mut(c)),
        DType::Complex128 => rows_inexact::<Complex<f64>>(m, k, n, cast_slice(a), cast_slice(b), cast_slice_mut(c)),
        DType::Float16 => {
            let (a, b, mut wide) = (widened(a), widened(b), vec![0.0; m * n]);
            rows_inexact::<f32>(m, k, n, &a, &b, &mut wide);
            cast(DType::Float32, DType::Float16, cast_slice(&wide), c);
        }
        DType::Bool => rows_bool(k, n, a, b, c),
        // Products and sums modulo a power of two know no sign.
        integer => match integer.bytes() {
            1 => rows_integer::<u8>(k, n, a, b, c),
            2 => rows_integer::<u16>(k, n, cast_slice(a), cast_slice(b), cast_slice_mut(c)),
            4 => rows_integer::<u32>(k, n, cast_slice(a), cast_slice(b), cast_slice_mut(c)),
            _ => rows_integer::<u64>(k, n, cast_slice(a), cast_slice(b), cast_slice_mut(c)),
        },
    }
}

fn widened(a: &[u8]) -> Vec<f32> {
    let mut wide = vec![0.0; a.len() / 2];
    cast(DType::Float16, DType::Float32, a, cast_slice_mut(&mut wide));
    wide
}

/// A matrix whose transpose is multiplied from the left: element (i, j) at `i·row_step + j·column_step`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Across<'a> {
    pub(crate) elements: &'a [u8],
    pub(crate) row_step: usize,
    pub(crate) column_step: usize,
}

/// Sums the outer products of the rows of two matrices: `words ← xᵀ·y`, in the words of folds.
///
/// Shapes: `x` rows×m, `y` rows×n in row-major order, `words` m×n values.
/// Cost: 2·rows·m·n flops; one buffer of m·n elements for types that are shorter than words.
pub(crate) fn across(dtype: DType, rows: usize, m: usize, n: usize, x: Across<'_>, y: &[u8], words: &mut [u64]) {
    match dtype {
        DType::Float64 => across_inexact::<f64>(rows, m, n, x, cast_slice(y), cast_slice_mut(words)),
        DType::Complex128 => across_inexact::<Complex<f64>>(rows, m, n, x, cast_slice(y), cast_slice_mut(words)),
        DType::Float32 => {
            let mut sums = vec![0.0_f32; m * n];
            across_inexact::<f32>(rows, m, n, x, cast_slice(y), &mut sums);
            cast(dtype, DType::Float64, cast_slice(&sums), cast_slice_mut(words));
        }
        DType::Complex64 => {
            let mut sums = vec![Complex { re: 0.0_f32, im: 0.0 }; m * n];
            across_inexact::<Complex<f32>>(rows, m, n, x, cast_slice(y), &mut sums);
            cast(dtype, DType::Complex128, cast_slice(&sums), cast_slice_mut(words));
        }
        DType::Float16 => {
            let (x_wide, y_wide, mut sums) = (widened(x.elements), widened(y), vec![0.0_f32; m * n]);
            let x = Across { elements: cast_slice(&x_wide), ..x };
            across_inexact::<f32>(rows, m, n, x, &y_wide, &mut sums);
            cast(DType::Float32, DType::Float64, cast_slice(&sums), cast_slice_mut(words));
        }
        // Bool is counted; that a count is positive is what the product of bools asks.
        _ => {
            let wide = |elements: &[u8]| {
                let mut room = vec![0_u64; elements.len() / dtype.bytes()];
                cast(dtype, DType::Uint64, elements, cast_slice_mut(&mut room));
                room
            };
            let (left, right) = (wide(x.elements), wide(y));
            across_integer(rows, n, x, &left, &right, words);
        }
    }
}

/// Element types that the matrix library multiplies.
trait Factor: Pod + Add<Output = Self> + Mul<Output = Self> {
    const ONE: Self;
}

impl Factor for f32 {
    const ONE: f32 = 1.0;
}

impl Factor for f64 {
    const ONE: f64 = 1.0;
}

impl Factor for Complex<f32> {
    const ONE: Complex<f32> = Complex { re: 1.0, im: 0.0 };
}

impl Factor for Complex<f64> {
    const ONE: Complex<f64> = Complex { re: 1.0, im: 0.0 };
}

fn rows_inexact<T: Factor>(m: usize, k: usize, n: usize, a: &[T], b: &[T], c: &mut [T]) {
    assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n, "a product of {m}×{k} and {k}×{n}");
    if m == 0 || n == 0 {
        return;
    }
    if n == 1 {
        for (row, c) in c.iter_mut().enumerate() {
            *c = vector::run(Dot { a: &a[row * k..(row + 1) * k], b });
        }
        return;
    }
    if m == 1 {
        // A second row keeps the library from its loop for one row.
        let mut two = vec![T::zeroed(); 2 * k];
        two[..k].copy_from_slice(a);
        let mut results = vec![T::zeroed(); 2 * n];
        rows_inexact(2, k, n, &two, b, &mut results);
        c.copy_from_slice(&results[..n]);
        return;
    }
    c.fill(T::zeroed());
    for depth in (0..k).step_by(PANEL) {
        let panel = PANEL.min(k - depth);
        multiply([m, panel, n], &a[depth..], [k, 1], &b[depth * n..], c, depth > 0);
    }
}

fn across_inexact<T: Factor>(rows: usize, m: usize, n: usize, x: Across<'_>, y: &[T], sums: &mut [T]) {
    let elements: &[T] = cast_slice(x.elements);
    sums.fill(T::zeroed());
    if rows == 0 || m == 0 || n == 0 {
        return;
    }
    assert!(y.len() == rows * n && sums.len() == m * n, "{rows} rows of {m} and {n}");
    multiply([m, rows, n], elements, [x.column_step, x.row_step], y, sums, false);
}

/// `c = a·b`, or `c + a·b` if `add`: a is m×k with these steps of rows and columns, b k×n and c m×n in C order.
///
/// No extent is 0.
fn multiply<T: Factor>([m, k, n]: [usize; 3], a: &[T], steps: [usize; 2], b: &[T], c: &mut [T], add: bool) {
    let [row_step, column_step] = steps;
    let last = (m - 1) * row_step + (k - 1) * column_step;
    assert!(last < a.len() && k * n <= b.len() && m * n <= c.len(), "a product of {m}×{k} and {k}×{n}");
    // SAFETY: the lengths asserted above hold the last element of each matrix, and all steps lead forwards.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.as_ptr(),
            column_step as isize,
            row_step as isize,
            b.as_ptr(),
            1,
            n as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// The product of a row and a column, in fixed lanes.
struct Dot<'a, T> {
    a: &'a [T],
    b: &'a [T],
}

impl<T: Factor> Loop for Dot<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run(self) -> T {
        let mut lanes = [T::zeroed(); LANES];
        let (a, a_rest) = self.a.as_chunks::<LANES>();
        let (b, b_rest) = self.b.as_chunks::<LANES>();
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                lanes[lane] = lanes[lane] + a[lane] * b[lane];
            }
        }
        for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
            lanes[lane] = lanes[lane] + a * b;
        }
        let mut width = LANES / 2;
        while width > 0 {
            for lane in 0..width {
                lanes[lane] = lanes[lane] + lanes[lane + width];
            }
            width /= 2;
        }
        lanes[0]
    }
}

fn rows_integer<T: Integer>(k: usize, n: usize, a: &[T], b: &[T], c: &mut [T]) {
    c.fill(T::ZERO);
    if k == 0 || n == 0 {
        return;
    }
    for (a, c) in a.chunks(k).zip(c.chunks_mut(n)) {
        for (&factor, b) in a.iter().zip(b.chunks(n)) {
            for (c, &b) in c.iter_mut().zip(b) {
                *c = c.wrapping_add(factor.wrapping_mul(b));
            }
        }
    }
}

fn rows_bool(k: usize, n: usize, a: &[u8], b: &[u8], c: &mut [u8]) {
    c.fill(0);
    if k == 0 || n == 0 {
        return;
    }
    for (a, c) in a.chunks(k).zip(c.chunks_mut(n)) {
        for (&factor, b) in a.iter().zip(b.chunks(n)) {
            for (c, &b) in c.iter_mut().zip(b) {
                *c |= factor & b;
            }
        }
    }
}

fn across_integer(rows: usize, n: usize, x: Across<'_>, left: &[u64], right: &[u64], words: &mut [u64]) {
    words.fill(0);
    if n == 0 {
        return;
    }
    for (row, right) in right.chunks(n).take(rows).enumerate() {
        for (i, words) in words.chunks_mut(n).enumerate() {
            let factor = left[row * x.row_step + i * x.column_step];
            for (word, &right) in words.iter_mut().zip(right) {
                *word = word.wrapping_add(factor.wrapping_mul(right));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::real::Real;

    fn noise(length: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        };
        (0..length).map(|_| next()).collect()
    }

    fn check_rows<T: Real>(m: usize, k: usize, n: usize, dtype: DType, convert: fn(f64) -> T, tolerance: f64) {
        let a: Vec<T> = noise(m * k, 1).into_iter().map(convert).collect();
        let b: Vec<T> = noise(k * n, 2).into_iter().map(convert).collect();
        let multiply = |first: usize, last: usize| {
            let mut c = vec![T::ONE; (last - first) * n];
            let a = cast_slice(&a[first * k..last * k]);
            rows(dtype, last - first, k, n, a, cast_slice(&b), cast_slice_mut(&mut c));
            c
        };
        let whole = multiply(0, m);
        for i in 0..m {
            for j in 0..n {
                let exact: f64 = (0..k).map(|p| a[i * k + p].wide() * b[p * n + j].wide()).sum();
                assert!((whole[i * n + j].wide() - exact).abs() <= tolerance, "({i}, {j}) of {m}×{k}×{n}");
            }
        }
        let same =
            |left: &[T], right: &[T]| left.iter().zip(right).all(|(a, b)| a.wide().to_bits() == b.wide().to_bits());
        for cut in 0..=m {
            let parts = [multiply(0, cut), multiply(cut, m)].concat();
            assert!(same(&parts, &whole), "{m}×{k}×{n} cut at {cut} has other bits");
        }
        for row in 0..m {
            assert!(same(&multiply(row, row + 1), &whole[row * n..(row + 1) * n]), "row {row} of {m}×{k}×{n}");
        }
    }

    #[test]
    fn a_row_has_the_same_bits_in_any_tile() {
        for m in [1, 2, 5, 33, 70] {
            for k in [1, 2, 3, 64, 255, 258, 513] {
                for n in [1, 2, 3, 8, 17, 65] {
                    check_rows::<f64>(m, k, n, DType::Float64, |value| value, 1e-12);
                    check_rows::<f32>(m, k, n, DType::Float32, |value| value as f32, 1e-3);
                }
            }
        }
    }

    #[test]
    fn long_tiles_are_cut_without_a_trace() {
        let (m, k, n) = (700, 40, 96);
        let (a, b) = (noise(m * k, 3), noise(k * n, 4));
        let mut whole = vec![0.0; m * n];
        rows(DType::Float64, m, k, n, cast_slice(&a), cast_slice(&b), cast_slice_mut(&mut whole));
        for cut in [1, 7, 128, 350, 699] {
            let mut parts = vec![0.0; m * n];
            let (front, back) = parts.split_at_mut(cut * n);
            rows(DType::Float64, cut, k, n, cast_slice(&a[..cut * k]), cast_slice(&b), cast_slice_mut(front));
            rows(DType::Float64, m - cut, k, n, cast_slice(&a[cut * k..]), cast_slice(&b), cast_slice_mut(back));
            assert!(parts == whole, "cut at {cut}");
        }
    }

    #[test]
    fn outer_products_sum_over_rows() {
        let (rows, m, n) = (13, 4, 3);
        let (x, y): (Vec<i64>, Vec<i64>) = ((0..52).collect(), (0..39).map(|i| i - 20).collect());
        let mut words = vec![0_u64; m * n];
        let across_x = Across { elements: cast_slice(&x), row_step: m, column_step: 1 };
        across(DType::Int64, rows, m, n, across_x, cast_slice(&y), &mut words);
        let float = |values: &[i64]| values.iter().map(|&value| value as f64).collect::<Vec<_>>();
        let (x_float, y_float) = (float(&x), float(&y));
        let mut float_words = vec![0_u64; m * n];
        let across_x = Across { elements: cast_slice(&x_float), row_step: m, column_step: 1 };
        across(DType::Float64, rows, m, n, across_x, cast_slice(&y_float), &mut float_words);
        for i in 0..m {
            for j in 0..n {
                let exact: i64 = (0..rows).map(|row| x[row * m + i] * y[row * n + j]).sum();
                assert_eq!(words[i * n + j] as i64, exact);
                assert_eq!(f64::from_bits(float_words[i * n + j]), exact as f64);
            }
        }
    }

    #[test]
    fn integers_and_bools_multiply() {
        let (a, b, mut c) = ([1_i64, 2, 3, 4], [5_i64, 6, 7, 8], [0_i64; 4]);
        rows(DType::Int64, 2, 2, 2, cast_slice(&a), cast_slice(&b), cast_slice_mut(&mut c));
        assert_eq!(c, [19, 22, 43, 50]);
        let mut c = [9_u8; 4];
        rows(DType::Bool, 2, 2, 2, &[1, 0, 0, 0], &[0, 1, 1, 1], &mut c);
        assert_eq!(c, [0, 1, 0, 0]);
    }
}

//! Fourier transforms of rows, each where it lies, and the factors by which short transforms become a long one.
//!
//! Never here: transforms along the first axis, which are made of these and of transposes.

use crate::array::Array;
use crate::dtype::{Complex32, Complex64, DType};
use crate::error::{Error, Result};
use crate::kernel::custom::{Kernel, Rows};
use bytemuck::{Pod, cast_slice, cast_slice_mut};
use girih_runtime::world::World;
use realfft::RealFftPlanner;
use rustfft::num_complex::Complex;
use rustfft::{FftNum, FftPlanner};
use std::f64::consts::PI;

/// A transform along the last axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// Complex to complex, with a negative exponent.
    Forward,
    /// Complex to complex, with a positive exponent.
    Backward,
    /// Real to the half of the result that tells the other.
    RealForward,
    /// From such a half back to real numbers.
    RealBackward,
}

/// Types of the numbers of a transform.
trait Real: FftNum + Pod + Default {
    fn of(value: f64) -> Self;
}

impl Real for f32 {
    fn of(value: f64) -> f32 {
        value as f32
    }
}

impl Real for f64 {
    fn of(value: f64) -> f64 {
        value
    }
}

/// Transforms of length `n` along the last axis, of which elements are cut or zeros added behind, times `scale`.
///
/// Shapes: two axes or more; the last one becomes `n`, or `n / 2 + 1` for [`Transform::RealForward`].
/// Cost: n·log n for each; no message.
///
/// # Errors
/// Replicated: `Error::Shape` for one axis or `n` = 0; `Error::Type` for elements of another type than the transform's.
pub fn rows(transform: Transform, x: &Array, n: usize, scale: f64) -> Result<Array> {
    let [lead @ .., length] = x.shape() else {
        return Err(Error::Shape("a transform needs an axis".to_string()));
    };
    if lead.is_empty() || n == 0 {
        return Err(Error::Shape(format!("Invalid number of FFT data points ({n}) specified.")));
    }
    let (length, single) = (*length, matches!(x.dtype(), DType::Float32 | DType::Complex64));
    let (real, complex) = if single { (DType::Float32, DType::Complex64) } else { (DType::Float64, DType::Complex128) };
    let (from, to, width) = match transform {
        Transform::Forward | Transform::Backward => (complex, complex, n),
        Transform::RealForward => (real, complex, n / 2 + 1),
        Transform::RealBackward => (complex, real, n),
    };
    if x.dtype() != from {
        return Err(Error::Type(format!("a transform of {from} was given {}", x.dtype())));
    }
    let shape = [lead, &[width]].concat();
    let name = format!("{transform:?} {n} {scale}");
    let kernel = if single {
        kernel::<f32>(transform, [length, n], scale, name)
    } else {
        kernel::<f64>(transform, [length, n], scale, name)
    };
    Array::custom(x.world(), kernel, &shape, to, &[x], &[])
}

fn kernel<T: Real>(transform: Transform, [length, n]: [usize; 2], scale: f64, name: String) -> Kernel
where
    Complex<T>: Pod,
{
    let scale = T::of(scale);
    match transform {
        Transform::Forward | Transform::Backward => {
            let mut planner = FftPlanner::<T>::new();
            let plan =
                if transform == Transform::Forward { planner.plan_fft_forward(n) } else { planner.plan_fft_inverse(n) };
            Kernel::new("fft", name, move |rows, out| {
                let mut scratch = vec![Complex::default(); plan.get_inplace_scratch_len()];
                each::<Complex<T>, Complex<T>>(rows, out, [length, n], |from, to| {
                    let kept = length.min(n);
                    to[..kept].copy_from_slice(&from[..kept]);
                    to[kept..].fill(Complex::default());
                    plan.process_with_scratch(to, &mut scratch);
                    to.iter_mut().for_each(|value| *value = value.scale(scale));
                });
                Ok(())
            })
        }
        Transform::RealForward => {
            let plan = RealFftPlanner::<T>::new().plan_fft_forward(n);
            Kernel::new("fft", name, move |rows, out| {
                let (mut row, mut scratch) = (vec![T::zero(); n], plan.make_scratch_vec());
                each::<T, Complex<T>>(rows, out, [length, n / 2 + 1], |from, to| {
                    let kept = length.min(n);
                    row[..kept].copy_from_slice(&from[..kept]);
                    row[kept..].fill(T::zero());
                    plan.process_with_scratch(&mut row, to, &mut scratch).expect("lengths are those of the plan");
                    to.iter_mut().for_each(|value| *value = value.scale(scale));
                });
                Ok(())
            })
        }
        Transform::RealBackward => {
            let plan = RealFftPlanner::<T>::new().plan_fft_inverse(n);
            Kernel::new("fft", name, move |rows, out| {
                let half = n / 2 + 1;
                let (mut row, mut scratch) = (vec![Complex::default(); half], plan.make_scratch_vec());
                each::<Complex<T>, T>(rows, out, [length, n], |from, to| {
                    let kept = length.min(half);
                    row[..kept].copy_from_slice(&from[..kept]);
                    row[kept..].fill(Complex::default());
                    // What a real result cannot have is left out, as everywhere.
                    row[0].im = T::zero();
                    if n.is_multiple_of(2) {
                        row[half - 1].im = T::zero();
                    }
                    plan.process_with_scratch(&mut row, to, &mut scratch).expect("lengths are those of the plan");
                    to.iter_mut().for_each(|value| *value = *value * scale);
                });
                Ok(())
            })
        }
    }
}

fn each<A: Pod, B: Pod>(rows: &Rows<'_>, out: &mut [u8], lengths: [usize; 2], mut row: impl FnMut(&[A], &mut [B])) {
    let (from, to): (&[A], &mut [B]) = (cast_slice(rows.aligned[0]), cast_slice_mut(out));
    let [length, width] = lengths;
    for (index, to) in to.chunks_mut(width).enumerate() {
        row(&from[index * length..(index + 1) * length], to);
    }
}

/// Element (i, j) of a complex matrix times exp(`sign`·2πi·i·j / `n`).
///
/// # Errors
/// Replicated: `Error::Type` for elements that are not complex.
pub fn twiddled(x: &Array, n: usize, sign: f64) -> Result<Array> {
    let (dtype, width) = (x.dtype(), x.shape().iter().skip(1).product::<usize>());
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        let factor = |row: usize, column: usize| unit((row as u128 * column as u128 % n as u128) as f64, n, sign);
        if dtype == DType::Complex64 {
            let (from, to): (&[Complex32], &mut [Complex32]) = (cast_slice(rows.aligned[0]), cast_slice_mut(out));
            for (at, (to, from)) in to.iter_mut().zip(from).enumerate() {
                let factor = factor(rows.rows.start + at / width, at % width);
                *to = from * Complex32::new(factor.re as f32, factor.im as f32);
            }
        } else {
            let (from, to): (&[Complex64], &mut [Complex64]) = (cast_slice(rows.aligned[0]), cast_slice_mut(out));
            for (at, (to, from)) in to.iter_mut().zip(from).enumerate() {
                *to = from * factor(rows.rows.start + at / width, at % width);
            }
        }
        Ok(())
    };
    if !matches!(dtype, DType::Complex64 | DType::Complex128) {
        return Err(Error::Type(format!("complex numbers are needed, not {dtype}")));
    }
    Array::custom(x.world(), Kernel::new("twiddle", format!("{n} {sign}"), run), x.shape(), dtype, &[x], &[])
}

/// The numbers exp(`sign`·πi·k² / `n`) for k below `length`; `Complex128`.
///
/// # Errors
/// Replicated: `Error::Shape` if there are more than memory can hold.
pub fn chirp(world: &World, length: usize, n: usize, sign: f64) -> Result<Array> {
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        let out: &mut [Complex64] = cast_slice_mut(out);
        for (k, out) in rows.rows.clone().zip(out) {
            *out = unit((k as u128 * k as u128 % (2 * n as u128)) as f64, 2 * n, sign);
        }
        Ok(())
    };
    let kernel = Kernel::new("chirp", format!("{n} {sign}"), run);
    Array::custom(world, kernel, &[length], DType::Complex128, &[], &[])
}

/// exp(`sign`·2πi·k / n) for 0 ≤ k < n, with the angle brought near zero first.
fn unit(k: f64, n: usize, sign: f64) -> Complex64 {
    let n = n as f64;
    let k = if 2.0 * k > n { k - n } else { k };
    let (sine, cosine) = (2.0 * PI * k / n).sin_cos();
    Complex64::new(cosine, sign * sine)
}

//! Distributions of vectors along the last axis, and vectors in a random order.

use super::count::{binomial, hypergeometric};
use super::permutation::shuffle;
use super::philox::Stream;
use super::real::{beta, gamma};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::kernel::custom::{Kernel, Rows};
use crate::shape::Shape;
use bytemuck::cast_slice;
use girih_runtime::world::World;

/// Below this greatest parameter gammas underflow together, and vectors are made of betas instead.
const BETAS_BELOW: f64 = 0.1;

/// The number of the first vector of a tile, and the length of a vector.
fn vectors(shape: &[usize], rows: &Rows<'_>) -> (u64, usize) {
    let width = shape.last().copied().unwrap_or(1);
    let each: usize = if shape.len() > 1 { shape[1..shape.len() - 1].iter().product() } else { 1 };
    let first = if shape.len() > 1 { rows.rows.start * each } else { 0 };
    (first as u64, width)
}

/// Vectors of positive numbers whose sum is 1; `Float64`. `shape` ends with the number of parameters.
///
/// # Errors
/// Replicated: `Error::Shape` for a shape that cannot be.
pub fn dirichlet(world: &World, stream: Stream, parameters: &[f64], shape: &[usize]) -> Result<Array> {
    Shape::new(shape)?;
    let lengths = shape.to_vec();
    let fingerprint = format!("{stream:?} {parameters:?}");
    let parameters = parameters.to_vec();
    let greatest = parameters.iter().copied().fold(0.0, f64::max);
    let mut after: Vec<f64> = vec![0.0; parameters.len() + 1];
    for (index, parameter) in parameters.iter().enumerate().rev() {
        after[index] = after[index + 1] + parameter;
    }
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        let (first, width) = vectors(&lengths, rows);
        let out: &mut [f64] = bytemuck::cast_slice_mut(out);
        for (vector, out) in (first..).zip(out.chunks_mut(width.max(1))) {
            let draws = |index: usize| stream.at(vector * width as u64 + index as u64);
            if greatest < BETAS_BELOW {
                let mut rest = 1.0;
                for (index, value) in out.iter_mut().enumerate() {
                    let last = index + 1 == width || after[index + 1] == 0.0;
                    let share = if last { 1.0 } else { share(parameters[index], after[index + 1], &mut draws(index)) };
                    *value = rest * share;
                    rest *= 1.0 - share;
                }
            } else {
                for (index, value) in out.iter_mut().enumerate() {
                    *value = gamma(parameters[index], &mut draws(index));
                }
                let sum: f64 = out.iter().sum();
                out.iter_mut().for_each(|value| *value /= sum);
            }
        }
        Ok(())
    };
    Array::custom(world, Kernel::new("dirichlet", fingerprint, run), shape, DType::Float64, &[], &[])
}

fn share(first: f64, rest: f64, draws: &mut super::philox::Draws) -> f64 {
    if first == 0.0 { 0.0 } else { beta(first, rest, draws) }
}

/// How often each of several outcomes comes in `trials`; `Int64`. `trials` and `probabilities` have the shape of the
/// result; the last probability of a vector is what the others leave.
///
/// # Errors
/// As [`dirichlet`].
pub fn multinomial(stream: Stream, trials: &Array, probabilities: &Array, shape: &[usize]) -> Result<Array> {
    let trials = trials.astype(DType::Int64)?.broadcast_to(shape)?;
    let probabilities = probabilities.astype(DType::Float64)?.broadcast_to(shape)?;
    let lengths = shape.to_vec();
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        let (first, width) = vectors(&lengths, rows);
        let (trials, probabilities): (&[i64], &[f64]) = (cast_slice(rows.aligned[0]), cast_slice(rows.aligned[1]));
        let out: &mut [i64] = bytemuck::cast_slice_mut(out);
        let step = width.max(1);
        let inputs = trials.chunks(step).zip(probabilities.chunks(step));
        for ((vector, out), (trials, probabilities)) in (first..).zip(out.chunks_mut(step)).zip(inputs) {
            let (mut left, mut rest) = (trials[0], 1.0);
            for (index, count) in out.iter_mut().enumerate() {
                *count = if index + 1 == width || left == 0 {
                    left
                } else {
                    let chance = (probabilities[index] / rest).clamp(0.0, 1.0);
                    let chance = if chance.is_nan() { 0.0 } else { chance };
                    binomial(left as u64, chance, &mut stream.at(vector * width as u64 + index as u64))
                };
                left -= *count;
                rest -= probabilities[index];
            }
        }
        Ok(())
    };
    let kernel = Kernel::new("multinomial", format!("{stream:?}"), run);
    Array::custom(trials.world(), kernel, shape, DType::Int64, &[&trials, &probabilities], &[])
}

/// How many things of each colour are among `sample` drawn without return; `Int64`. `shape` ends with the number of
/// colours.
///
/// # Errors
/// As [`dirichlet`].
pub fn multivariate_hypergeometric(
    world: &World,
    stream: Stream,
    colors: &[u64],
    sample: u64,
    shape: &[usize],
) -> Result<Array> {
    Shape::new(shape)?;
    let lengths = shape.to_vec();
    let fingerprint = format!("{stream:?} {colors:?} {sample}");
    let colors = colors.to_vec();
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        let (first, width) = vectors(&lengths, rows);
        let out: &mut [i64] = bytemuck::cast_slice_mut(out);
        for (vector, out) in (first..).zip(out.chunks_mut(width.max(1))) {
            let mut left = sample;
            let mut others: u64 = colors.iter().sum();
            for (index, count) in out.iter_mut().enumerate() {
                others -= colors[index];
                let mut draws = stream.at(vector * width as u64 + index as u64);
                *count = hypergeometric(colors[index], others, left, &mut draws);
                left -= *count as u64;
            }
        }
        Ok(())
    };
    Array::custom(world, Kernel::new("hypergeometric", fingerprint, run), shape, DType::Int64, &[], &[])
}

/// The vectors along the last axis of an array, the elements of each in a random order of its own.
///
/// Cost: no message.
///
/// # Errors
/// As [`Array::wait`].
pub fn permuted(stream: Stream, x: &Array) -> Result<Array> {
    let (lengths, item) = (x.shape().to_vec(), x.dtype().bytes());
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        let (first, width) = vectors(&lengths, rows);
        out.copy_from_slice(rows.aligned[0]);
        for (vector, out) in (first..).zip(out.chunks_mut((width * item).max(1))) {
            let mut order: Vec<usize> = (0..width).collect();
            shuffle(stream, vector * width as u64, &mut order, <[usize]>::swap);
            let before = out.to_vec();
            for (place, from) in order.into_iter().enumerate() {
                out[place * item..][..item].copy_from_slice(&before[from * item..][..item]);
            }
        }
        Ok(())
    };
    let kernel = Kernel::new("permuted", format!("{stream:?}"), run);
    Array::custom(x.world(), kernel, x.shape(), x.dtype(), &[x], &[])
}

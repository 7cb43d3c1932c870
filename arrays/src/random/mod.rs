//! Random arrays: every element a function of the seed, the call and the element's place.
//!
//! Nothing is sent and nothing is remembered between elements, so all ranks, threads and tiles draw the same numbers.
//! The numbers are not those of NumPy's generators, whose every number depends on the one before.

mod count;
mod permutation;
mod philox;
mod real;
mod vectors;

use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::kernel::custom::{Kernel, Rows};
use crate::shape::Shape;
use bytemuck::cast_slice;
use girih_runtime::fingerprint::Fingerprint;
use girih_runtime::world::World;
use permutation::{Network, SHUFFLED_MAX};

pub use count::Count;
pub use philox::Stream;
pub use real::Real;
pub use vectors::{dirichlet, multinomial, multivariate_hypergeometric, permuted};

/// A parameter of a distribution: the same for all elements, or one for each.
#[derive(Clone, Debug)]
pub enum Parameter {
    /// One number.
    Number(Scalar),
    /// An array that is repeated to the shape of the result.
    Each(Array),
}

/// Parameters as a kernel reads them.
struct Parameters {
    numbers: Vec<Option<f64>>,
    each: Vec<Array>,
}

impl Parameters {
    fn new(parameters: &[Parameter], shape: &[usize], dtype: DType) -> Result<Parameters> {
        let (mut numbers, mut each) = (Vec::new(), Vec::new());
        for parameter in parameters {
            match parameter {
                Parameter::Number(number) => numbers.push(Some(number.to_f64())),
                Parameter::Each(array) => {
                    numbers.push(None);
                    each.push(array.astype(dtype)?.broadcast_to(shape)?);
                }
            }
        }
        Ok(Parameters { numbers, each })
    }
}

/// Real numbers of a distribution, as `Float64` or `Float32`; the latter are the former, rounded, but for numbers of
/// [`Real::Random`], which stay below 1.
///
/// Cost: no message; about 2 ns a number for [`Real::Random`], 5 for normal ones.
///
/// # Errors
/// Replicated: `Error::Shape` for a shape that cannot be, or that parameters cannot be repeated to; `Error::Type`.
pub fn real(
    world: &World,
    stream: Stream,
    distribution: Real,
    parameters: &[Parameter],
    shape: &[usize],
    dtype: DType,
) -> Result<Array> {
    let (name, count) = distribution.name();
    assert_eq!(parameters.len(), count, "{name} has other parameters");
    let width = Shape::new(shape)?.row_elements();
    let Parameters { numbers, each } = Parameters::new(parameters, shape, DType::Float64)?;
    let fingerprint = format!("{stream:?} {numbers:?}");
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        let elements = (rows.rows.start * width) as u64..(rows.rows.end * width) as u64;
        match (dtype, distribution) {
            (DType::Float64, Real::Random) => random(stream, elements, bytemuck::cast_slice_mut(out), philox::to_unit),
            (DType::Float32, Real::Random) => {
                let short = |word| (word >> 40) as f32 * 2.0_f32.powi(-24);
                random(stream, elements, bytemuck::cast_slice_mut(out), short);
            }
            (DType::Float64, _) => {
                let out: &mut [f64] = bytemuck::cast_slice_mut(out);
                each_number(stream, elements, &numbers, &rows.aligned, |index, parameters, draws| {
                    out[index] = distribution.sample(parameters, draws);
                });
            }
            _ => {
                let out: &mut [f32] = bytemuck::cast_slice_mut(out);
                each_number(stream, elements, &numbers, &rows.aligned, |index, parameters, draws| {
                    out[index] = distribution.sample(parameters, draws) as f32;
                });
            }
        }
        Ok(())
    };
    if !matches!(dtype, DType::Float32 | DType::Float64) {
        return Err(Error::Type(format!("Unsupported dtype {dtype} for {name}")));
    }
    Array::custom(world, Kernel::new(name, fingerprint, run), shape, dtype, &each.iter().collect::<Vec<_>>(), &[])
}

/// Whole numbers of a distribution, as `Int64`.
///
/// # Errors
/// As [`real`].
pub fn count(
    world: &World,
    stream: Stream,
    distribution: Count,
    parameters: &[Parameter],
    shape: &[usize],
) -> Result<Array> {
    let (name, number) = distribution.name();
    assert_eq!(parameters.len(), number, "{name} has other parameters");
    let width = Shape::new(shape)?.row_elements();
    let Parameters { numbers, each } = Parameters::new(parameters, shape, DType::Float64)?;
    let fingerprint = format!("{stream:?} {numbers:?}");
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        let elements = (rows.rows.start * width) as u64..(rows.rows.end * width) as u64;
        let out: &mut [i64] = bytemuck::cast_slice_mut(out);
        each_number(stream, elements, &numbers, &rows.aligned, |index, parameters, draws| {
            out[index] = distribution.sample(parameters, draws);
        });
        Ok(())
    };
    Array::custom(
        world,
        Kernel::new(name, fingerprint, run),
        shape,
        DType::Int64,
        &each.iter().collect::<Vec<_>>(),
        &[],
    )
}

/// Whole numbers from `low` to `high`, both included, each equally likely; `Int64`.
///
/// # Errors
/// As [`real`].
pub fn integers(world: &World, stream: Stream, low: &Parameter, high: &Parameter, shape: &[usize]) -> Result<Array> {
    let width = Shape::new(shape)?.row_elements();
    let (mut bounds, mut each) = ([None; 2], Vec::new());
    for (bound, parameter) in bounds.iter_mut().zip([low, high]) {
        match parameter {
            Parameter::Number(number) => *bound = Some(number.to_i64()),
            Parameter::Each(array) => each.push(array.astype(DType::Int64)?.broadcast_to(shape)?),
        }
    }
    let fingerprint = format!("{stream:?} {bounds:?}");
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        let first = (rows.rows.start * width) as u64;
        let out: &mut [i64] = bytemuck::cast_slice_mut(out);
        let columns: Vec<&[i64]> = rows.aligned.iter().map(|bytes| cast_slice(bytes)).collect();
        let mut index = 0;
        stream.each(first..first + out.len() as u64, |draws| {
            let mut columns = columns.iter();
            let [low, high] = bounds.map(|bound| bound.unwrap_or_else(|| columns.next().expect("a column")[index]));
            // A span of all 64-bit numbers wraps to 0, which asks for any word.
            let span = high.wrapping_sub(low).wrapping_add(1) as u64;
            out[index] = low.wrapping_add(draws.below(span) as i64);
            index += 1;
        });
        Ok(())
    };
    let kernel = Kernel::new("integers", fingerprint, run);
    Array::custom(world, kernel, shape, DType::Int64, &each.iter().collect::<Vec<_>>(), &[])
}

/// The numbers 0, 1, …, `numbers` − 1 in a random order; `Int64`.
///
/// Cost: no message; about 50 ns a number where there are many.
///
/// # Errors
/// As [`real`].
pub fn permutation(world: &World, stream: Stream, numbers: usize) -> Result<Array> {
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        let out: &mut [i64] = bytemuck::cast_slice_mut(out);
        if numbers <= SHUFFLED_MAX {
            let mut order: Vec<i64> = (0..numbers as i64).collect();
            permutation::shuffle(stream, 0, &mut order, <[i64]>::swap);
            out.copy_from_slice(&order[rows.rows.clone()]);
            return Ok(());
        }
        let network = Network::new(stream, numbers);
        for (place, number) in rows.rows.clone().zip(out) {
            *number = network.at(place as u64) as i64;
        }
        Ok(())
    };
    let kernel = Kernel::new("permutation", format!("{stream:?}"), run);
    Array::custom(world, kernel, &[numbers], DType::Int64, &[], &[])
}

/// Numbers of outcomes, of which outcome i has probability `sums[i] - sums[i - 1]`; the last sum is 1. `Int64`.
///
/// # Errors
/// As [`real`].
pub fn categorical(world: &World, stream: Stream, sums: &[f64], shape: &[usize]) -> Result<Array> {
    let width = Shape::new(shape)?.row_elements();
    let print = sums.iter().fold(Fingerprint::default(), |print, sum| print.word(sum.to_bits()));
    let sums = sums.to_vec();
    let run = move |rows: &Rows<'_>, out: &mut [u8]| {
        let first = (rows.rows.start * width) as u64;
        let mut out = bytemuck::cast_slice_mut::<u8, i64>(out).iter_mut();
        stream.each(first..first + out.len() as u64, |draws| {
            let unit = draws.unit();
            let place = sums.partition_point(|&sum| sum <= unit).min(sums.len() - 1);
            *out.next().expect("room for each element") = place as i64;
        });
        Ok(())
    };
    let kernel = Kernel::new("categorical", format!("{stream:?} {}", print.value()), run);
    Array::custom(world, kernel, shape, DType::Int64, &[], &[])
}

fn random<T>(stream: Stream, elements: std::ops::Range<u64>, out: &mut [T], convert: impl Fn(u64) -> T) {
    let mut out = out.iter_mut();
    let (first, last) = (elements.start / philox::WORDS, elements.end.div_ceil(philox::WORDS));
    for index in first..last {
        let start = index * philox::WORDS;
        let words = stream.shared(index);
        for (word, _) in words.iter().zip(start..).filter(|(_, element)| elements.contains(element)) {
            *out.next().expect("room for each element") = convert(*word);
        }
    }
}

/// Calls `take` with the index of each element in the tile, its parameters and its words.
fn each_number(
    stream: Stream,
    elements: std::ops::Range<u64>,
    numbers: &[Option<f64>],
    aligned: &[&[u8]],
    mut take: impl FnMut(usize, &[f64], &mut philox::Draws),
) {
    let columns: Vec<&[f64]> = aligned.iter().map(|bytes| cast_slice(bytes)).collect();
    let mut parameters: Vec<f64> = numbers.iter().map(|number| number.unwrap_or(0.0)).collect();
    let places: Vec<usize> = (0..numbers.len()).filter(|&place| numbers[place].is_none()).collect();
    let mut index = 0;
    stream.each(elements, |draws| {
        for (column, &place) in columns.iter().zip(&places) {
            parameters[place] = column[index];
        }
        take(index, &parameters, draws);
        index += 1;
    });
}

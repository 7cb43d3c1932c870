//! Arrays from numbers, from data that every rank has, and from data of each rank.

use super::Array;
use crate::distribution::{Layout, RowDistribution};
use crate::dtype::{DType, Element, Scalar};
use crate::error::{Error, Result};
use crate::evaluate::distribute;
use crate::expr::{self, Index};
use crate::shape::Shape;
use crate::tile::Part;
use girih_runtime::world::World;
use std::ops::Range;

impl Array {
    /// One number everywhere.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` if the shape is larger than memory can be; `Error::Overflow` if no element can be
    /// this whole number.
    pub fn full(world: &World, shape: &[usize], value: Scalar, dtype: DType) -> Result<Array> {
        if !value.fits(dtype) {
            return Err(expr::out_of_bounds(value, dtype));
        }
        Array::record(world, expr::fill(Shape::new(shape)?, dtype, value))
    }

    /// Zeros.
    ///
    /// # Errors
    /// As [`Array::full`].
    pub fn zeros(world: &World, shape: &[usize], dtype: DType) -> Result<Array> {
        Array::full(world, shape, Scalar::Int(0), dtype)
    }

    /// Ones.
    ///
    /// # Errors
    /// As [`Array::full`].
    pub fn ones(world: &World, shape: &[usize], dtype: DType) -> Result<Array> {
        Array::full(world, shape, Scalar::Int(1), dtype)
    }

    /// Numbers from `start` to before `stop`, `step` apart.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` if `step` is zero or there are more numbers than memory can hold.
    pub fn arange(world: &World, start: Scalar, stop: Scalar, step: Scalar, dtype: DType) -> Result<Array> {
        let whole = |scalar| matches!(scalar, Scalar::Int(_) | Scalar::Bool(_));
        let length = if whole(start) && whole(stop) && whole(step) {
            let (start, stop, step) =
                (i128::from(start.to_i64()), i128::from(stop.to_i64()), i128::from(step.to_i64()));
            if step == 0 {
                return Err(Error::Shape("Maximum allowed size exceeded".to_string()));
            }
            let distance = if step > 0 { stop - start } else { start - stop };
            distance.max(0).unsigned_abs().div_ceil(step.unsigned_abs()) as f64
        } else {
            ((stop.to_f64() - start.to_f64()) / step.to_f64()).ceil()
        };
        if length.is_nan() {
            return Err(Error::Shape("arange: cannot compute length".to_string()));
        }
        let length = length.max(0.0);
        if !length.is_finite() || length > isize::MAX as f64 / 8.0 {
            return Err(Error::Shape("Maximum allowed size exceeded".to_string()));
        }
        Array::record(world, expr::sequence(length as usize, dtype, start, step)?)
    }

    /// `count` numbers from `start` to `stop`, both included if `endpoint` says so.
    ///
    /// # Errors
    /// As [`Array::full`].
    pub fn linspace(world: &World, start: f64, stop: f64, count: usize, endpoint: bool) -> Result<Array> {
        let (zero, one) = (Scalar::Float(0.0), Scalar::Float(1.0));
        let index = Array::record(world, expr::sequence(count, DType::Float64, zero, one)?)?;
        let steps = if endpoint { count.saturating_sub(1) } else { count };
        if steps == 0 {
            return index.multiply(stop - start)?.add(start);
        }
        let line = index.multiply((stop - start) / steps as f64)?.add(start)?;
        // Rounding must not keep the last number from being the one that was asked for.
        if endpoint { index.equal(steps as f64)?.select(stop, &line) } else { Ok(line) }
    }

    /// Ones on a diagonal, `offset` columns to the right of the main one, and zeros elsewhere.
    ///
    /// # Errors
    /// As [`Array::full`].
    pub fn eye(world: &World, rows: usize, columns: usize, offset: i64, dtype: DType) -> Result<Array> {
        let count =
            |start: i64, length: usize| expr::sequence(length, DType::Int64, Scalar::Int(start), Scalar::Int(1));
        let row = Array::record(world, count(offset, rows)?)?;
        let column = Array::record(world, count(0, columns)?)?;
        row.slice(&[Index::Ellipsis, Index::NewAxis])?.equal(&column)?.astype(dtype)
    }

    /// Elements that every rank has; each keeps its part.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` if their number does not fit the shape. Local: `Error::Runtime` for memory.
    pub fn from_slice<T: Element>(world: &World, shape: &[usize], elements: &[T]) -> Result<Array> {
        Array::from_bytes(world, shape, T::DTYPE, bytemuck::cast_slice(elements))
    }

    /// As [`Array::from_slice`], of elements as bytes in row-major order.
    ///
    /// # Errors
    /// As [`Array::from_slice`].
    pub fn from_bytes(world: &World, shape: &[usize], dtype: DType, bytes: &[u8]) -> Result<Array> {
        let shape = Shape::new(shape)?;
        if shape.elements() * dtype.bytes() != bytes.len() {
            let given = bytes.len() / dtype.bytes();
            return Err(Error::Shape(format!("cannot reshape array of size {given} into shape {shape}")));
        }
        let part = room(world, &shape, dtype)?;
        match part.layout() {
            Layout::Replicated => part.fill(bytes),
            Layout::Rows => {
                let row_bytes = shape.row_elements() * dtype.bytes();
                let tiles = part.tiles();
                let first = tiles.first().map_or(0, |tile| tile.rows.start) * row_bytes;
                part.fill(&bytes[first..first + part.bytes()]);
            }
        }
        Ok(Array::ready(world, shape, dtype, part))
    }

    /// Elements of which each rank gives its own rows, in the order of ranks. Collective; rows that another
    /// rank is to hold travel there.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` or `Error::Type` if the ranks' parts differ in more than the number of rows.
    /// Local: `Error::Runtime` for memory.
    pub fn from_local(world: &World, shape: &[usize], dtype: DType, bytes: &[u8]) -> Result<Array> {
        let described: Vec<Described> =
            world.all_gather_bytes(describe(shape, dtype))?.iter().map(|bytes| read_description(bytes)).collect();
        let whole = agreed_shape(&described)?;
        if Layout::of(&whole, dtype) == Layout::Replicated {
            let all = world.all_gather_bytes(bytes.to_vec())?.concat();
            return Array::from_bytes(world, &whole, dtype, &all);
        }
        let mut next = 0;
        let rows: Vec<Range<usize>> = described
            .iter()
            .map(|(_, shape)| {
                let rows = next..next + shape[0];
                next = rows.end;
                rows
            })
            .collect();
        let row_bytes = whole.row_elements() * dtype.bytes();
        distribute(world, whole, dtype, &rows, row_bytes, bytes).map(|node| Array { world: world.clone(), node })
    }
}

/// Room for this rank's part of an array.
pub(crate) fn room(world: &World, shape: &Shape, dtype: DType) -> Result<Part> {
    let part = match Layout::of(shape, dtype) {
        Layout::Replicated => Part::replicated(world.memory(), shape.rows(), shape.elements() * dtype.bytes())?,
        Layout::Rows => {
            let distribution = RowDistribution::new(shape.rows(), world.size(), world.config().tile_bytes);
            Part::rows(world.memory(), &distribution, world.rank(), shape.row_elements() * dtype.bytes())?
        }
    };
    Ok(part)
}

/// The type's name and the lengths of a rank's part.
type Described = (String, Vec<usize>);

fn describe(shape: &[usize], dtype: DType) -> Vec<u8> {
    let lengths = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    format!("{dtype};{lengths}").into_bytes()
}

fn read_description(bytes: &[u8]) -> Described {
    let text = String::from_utf8_lossy(bytes);
    let (dtype, lengths) = text.split_once(';').unwrap_or((&text, ""));
    let lengths = lengths.split(',').filter(|length| !length.is_empty());
    (dtype.to_string(), lengths.map(|length| length.parse().expect("written by describe")).collect())
}

fn agreed_shape(described: &[Described]) -> Result<Shape> {
    let (first_dtype, first) = &described[0];
    for (rank, (dtype, shape)) in described.iter().enumerate() {
        if shape.is_empty() {
            return Err(Error::Shape(format!("the part of rank {rank} has no axis along which parts could follow")));
        }
        if dtype != first_dtype {
            return Err(Error::Type(format!("the part of rank 0 is {first_dtype}, that of rank {rank} is {dtype}")));
        }
        if shape[1..] != first[1..] {
            let (other, first) = (Shape::from_lengths(shape.clone()), Shape::from_lengths(first.clone()));
            return Err(Error::Shape(format!("the part of rank 0 has shape {first}, that of rank {rank} {other}")));
        }
    }
    let rows = described.iter().map(|(_, shape)| shape[0]).sum();
    Ok(Shape::new(&[&[rows], &first[1..]].concat())?)
}

//! Copies between strided boxes of elements, and fills of slices.
//!
//! Steps may be negative, for axes that run backwards, or zero, for axes that repeat.

use bytemuck::{Pod, cast_slice, cast_slice_mut};

/// An n-d box of elements and how it lies in two slices: lengths, and offsets and steps in elements.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copying {
    pub(crate) lengths: Vec<usize>,
    pub(crate) from: isize,
    pub(crate) from_steps: Vec<isize>,
    pub(crate) to: isize,
    pub(crate) to_steps: Vec<isize>,
}

/// Copies a box of elements of `item` bytes.
///
/// Cost: one read and one write an element; runs that are contiguous on both sides go as a whole.
pub(crate) fn copy(item: usize, copying: &Copying, from: &[u8], to: &mut [u8]) {
    if copying.lengths.contains(&0) {
        return;
    }
    let copying = copying.collapsed();
    match item {
        1 => walk::<u8>(&copying, 0, copying.from, copying.to, from, to),
        2 => walk::<u16>(&copying, 0, copying.from, copying.to, cast_slice(from), cast_slice_mut(to)),
        4 => walk::<u32>(&copying, 0, copying.from, copying.to, cast_slice(from), cast_slice_mut(to)),
        8 => walk::<u64>(&copying, 0, copying.from, copying.to, cast_slice(from), cast_slice_mut(to)),
        _ => walk::<[u64; 2]>(&copying, 0, copying.from, copying.to, cast_slice(from), cast_slice_mut(to)),
    }
}

/// Reads elements `start..` of an array in row-major order, as many as `out` holds, through other steps.
///
/// Cost: one read and one write an element; a division for each axis at the start.
pub(crate) fn gather(
    item: usize,
    lengths: &[usize],
    from_steps: &[isize],
    from_start: isize,
    start: usize,
    from: &[u8],
    out: &mut [u8],
) {
    match item {
        1 => gather_typed::<u8>(lengths, from_steps, from_start, start, from, out),
        2 => gather_typed::<u16>(lengths, from_steps, from_start, start, cast_slice(from), cast_slice_mut(out)),
        4 => gather_typed::<u32>(lengths, from_steps, from_start, start, cast_slice(from), cast_slice_mut(out)),
        8 => gather_typed::<u64>(lengths, from_steps, from_start, start, cast_slice(from), cast_slice_mut(out)),
        _ => gather_typed::<[u64; 2]>(lengths, from_steps, from_start, start, cast_slice(from), cast_slice_mut(out)),
    }
}

/// Reads one element of a slice of elements for each place: the number of the slice, and the element in it.
///
/// Cost: one read, wherever it leads, and one write an element.
pub(crate) fn pick_each(item: usize, from: &[&[u8]], at: impl Iterator<Item = (usize, usize)>, out: &mut [u8]) {
    fn typed<T: Pod>(from: &[&[u8]], at: impl Iterator<Item = (usize, usize)>, out: &mut [u8]) {
        // A block without elements lies nowhere, and so at no multiple of an element's size.
        let from: Vec<&[T]> = from.iter().map(|slice| if slice.is_empty() { &[] } else { cast_slice(slice) }).collect();
        for (out, (slice, at)) in out.chunks_exact_mut(size_of::<T>()).zip(at) {
            out.copy_from_slice(bytemuck::bytes_of(&from[slice][at]));
        }
    }
    match item {
        1 => typed::<u8>(from, at, out),
        2 => typed::<u16>(from, at, out),
        4 => typed::<u32>(from, at, out),
        8 => typed::<u64>(from, at, out),
        _ => typed::<[u64; 2]>(from, at, out),
    }
}

/// Writes one element into a slice of elements for each place; the last one stays.
///
/// Cost: one read and one write, wherever it leads, an element.
pub(crate) fn place_each(item: usize, to: &mut [&mut [u8]], at: impl Iterator<Item = (usize, usize)>, values: &[u8]) {
    fn typed<T: Pod>(to: &mut [&mut [u8]], at: impl Iterator<Item = (usize, usize)>, values: &[u8]) {
        let values = values.chunks_exact(size_of::<T>());
        let mut typed: Vec<&mut [T]> = Vec::with_capacity(to.len());
        for slice in to.iter_mut() {
            typed.push(if slice.is_empty() { &mut [] } else { cast_slice_mut(slice) });
        }
        for (value, (slice, at)) in values.zip(at) {
            typed[slice][at] = bytemuck::pod_read_unaligned(value);
        }
    }
    match item {
        1 => typed::<u8>(to, at, values),
        2 => typed::<u16>(to, at, values),
        4 => typed::<u32>(to, at, values),
        8 => typed::<u64>(to, at, values),
        _ => typed::<[u64; 2]>(to, at, values),
    }
}

/// Repeats one element.
///
/// Cost: one write an element.
pub(crate) fn splat(item: usize, value: [u8; 16], out: &mut [u8]) {
    fn repeat<T: Pod>(value: [u8; 16], out: &mut [u8]) {
        let value: T = bytemuck::pod_read_unaligned(&value[..size_of::<T>()]);
        cast_slice_mut::<u8, T>(out).fill(value);
    }
    match item {
        1 => repeat::<u8>(value, out),
        2 => repeat::<u16>(value, out),
        4 => repeat::<u32>(value, out),
        8 => repeat::<u64>(value, out),
        _ => repeat::<[u64; 2]>(value, out),
    }
}

impl Copying {
    /// So many elements as they are.
    pub(crate) fn straight(length: usize) -> Copying {
        Copying { lengths: vec![length], from: 0, from_steps: vec![1], to: 0, to_steps: vec![1] }
    }

    /// The same box with as few axes as possible: lengths of one go, and axes that follow on join.
    fn collapsed(&self) -> Copying {
        let mut result = Copying { from: self.from, to: self.to, ..Copying::default() };
        for axis in (0..self.lengths.len()).filter(|&axis| self.lengths[axis] != 1) {
            let (length, from, to) = (self.lengths[axis], self.from_steps[axis], self.to_steps[axis]);
            let joins = match (result.from_steps.last(), result.to_steps.last()) {
                (Some(&outer_from), Some(&outer_to)) => {
                    outer_from == from * length as isize && outer_to == to * length as isize
                }
                _ => false,
            };
            if joins {
                let last = result.lengths.len() - 1;
                result.lengths[last] *= length;
                result.from_steps[last] = from;
                result.to_steps[last] = to;
            } else {
                result.lengths.push(length);
                result.from_steps.push(from);
                result.to_steps.push(to);
            }
        }
        result
    }
}

fn walk<T: Pod>(copying: &Copying, axis: usize, from_at: isize, to_at: isize, from: &[T], to: &mut [T]) {
    let axes = copying.lengths.len();
    if axis == axes {
        to[to_at as usize] = from[from_at as usize];
        return;
    }
    let (length, from_step, to_step) = (copying.lengths[axis], copying.from_steps[axis], copying.to_steps[axis]);
    if axis + 1 == axes {
        return run(length, from_at, from_step, to_at, to_step, from, to);
    }
    if axis + 2 == axes && copying.from_steps[axis + 1].abs() > from_step.abs() && length > 1 {
        return blocks(copying, from_at, to_at, from, to);
    }
    for i in 0..length as isize {
        walk(copying, axis + 1, from_at + i * from_step, to_at + i * to_step, from, to);
    }
}

/// The two innermost axes when the source runs across: in squares that fit the nearest cache.
fn blocks<T: Pod>(copying: &Copying, from_at: isize, to_at: isize, from: &[T], to: &mut [T]) {
    const SIDE: usize = 32;
    let axis = copying.lengths.len() - 2;
    let (rows, columns) = (copying.lengths[axis], copying.lengths[axis + 1]);
    if copying.from_steps[axis] == 1 && copying.to_steps[axis + 1] == 1 && copying.from_steps[axis + 1] > 0 {
        return turned(copying, from_at, to_at, from, to);
    }
    for column in (0..columns).step_by(SIDE) {
        let width = SIDE.min(columns - column);
        for row in 0..rows as isize {
            let from_at = from_at + row * copying.from_steps[axis] + column as isize * copying.from_steps[axis + 1];
            let to_at = to_at + row * copying.to_steps[axis] + column as isize * copying.to_steps[axis + 1];
            run(width, from_at, copying.from_steps[axis + 1], to_at, copying.to_steps[axis + 1], from, to);
        }
    }
}

/// As [`blocks`], when rows of the source become columns: in squares of one cache line a side, read and written by
/// lines, in strips that lie in a cache until each line was read whole.
fn turned<T: Pod>(copying: &Copying, from_at: isize, to_at: isize, from: &[T], to: &mut [T]) {
    const SIDE: usize = 8;
    let axis = copying.lengths.len() - 2;
    let (rows, columns) = (copying.lengths[axis], copying.lengths[axis + 1]);
    let (from_step, to_step) = (copying.from_steps[axis + 1] as usize, copying.to_steps[axis]);
    let (from_at, squares) = (from_at as usize, columns / SIDE * SIDE);
    for row in (0..rows).step_by(SIDE) {
        let height = SIDE.min(rows - row);
        let to_row = |i: usize| (to_at + (row + i) as isize * to_step) as usize;
        for column in (0..if height == SIDE { squares } else { 0 }).step_by(SIDE) {
            let mut square = [[T::zeroed(); SIDE]; SIDE];
            for j in 0..SIDE {
                let first = from_at + (column + j) * from_step + row;
                let values = &from[first..first + SIDE];
                square.iter_mut().zip(values).for_each(|(line, &value)| line[j] = value);
            }
            for (i, line) in square.iter().enumerate() {
                to[to_row(i) + column..][..SIDE].copy_from_slice(line);
            }
        }
        for column in if height == SIDE { squares } else { 0 }..columns {
            let first = from_at + column * from_step + row;
            for (i, &value) in from[first..first + height].iter().enumerate() {
                to[to_row(i) + column] = value;
            }
        }
    }
}

fn run<T: Pod>(
    length: usize,
    from_at: isize,
    from_step: isize,
    to_at: isize,
    to_step: isize,
    from: &[T],
    to: &mut [T],
) {
    let (from_start, to_start) = (from_at as usize, to_at as usize);
    match (from_step, to_step) {
        (1, 1) => to[to_start..to_start + length].copy_from_slice(&from[from_start..from_start + length]),
        (0, 1) => to[to_start..to_start + length].fill(from[from_start]),
        (2.., 1) if length > 0 => {
            let last = from_start + (length - 1) * from_step as usize;
            let across = from[from_start..=last].iter().step_by(from_step as usize);
            for (to, &from) in to[to_start..to_start + length].iter_mut().zip(across) {
                *to = from;
            }
        }
        _ => {
            for i in 0..length as isize {
                to[(to_at + i * to_step) as usize] = from[(from_at + i * from_step) as usize];
            }
        }
    }
}

fn gather_typed<T: Pod>(
    lengths: &[usize],
    steps: &[isize],
    from_start: isize,
    start: usize,
    from: &[T],
    out: &mut [T],
) {
    let Some(inner) = lengths.len().checked_sub(1) else {
        return out.fill(from[from_start as usize]);
    };
    let mut index = vec![0; lengths.len()];
    let mut rest = start;
    for (index, &length) in index.iter_mut().zip(lengths).rev() {
        *index = rest % length;
        rest /= length;
    }
    let mut done = 0;
    while done < out.len() {
        let offset: isize = index.iter().zip(steps).map(|(&index, &step)| index as isize * step).sum();
        let length = (lengths[inner] - index[inner]).min(out.len() - done);
        run(length, from_start + offset, steps[inner], 0, 1, from, &mut out[done..done + length]);
        done += length;
        index[inner] += length;
        for axis in (1..lengths.len()).rev() {
            if index[axis] < lengths[axis] {
                break;
            }
            index[axis] = 0;
            index[axis - 1] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_box_lands_across() {
        let (rows, columns) = (70, 50);
        let from: Vec<u64> = (0..rows * columns).collect();
        let mut to = vec![0_u64; from.len()];
        let copying = Copying {
            lengths: vec![columns as usize, rows as usize],
            from_steps: vec![1, columns as isize],
            to_steps: vec![rows as isize, 1],
            ..Copying::default()
        };
        copy(8, &copying, cast_slice(&from), cast_slice_mut(&mut to));
        for row in 0..rows {
            for column in 0..columns {
                assert_eq!(to[(column * rows + row) as usize], from[(row * columns + column) as usize]);
            }
        }
    }

    #[test]
    fn steps_backwards_and_of_zero() {
        let from: Vec<u32> = (0..6).collect();
        let mut to = [0_u32; 6];
        let copying = Copying { lengths: vec![2, 3], from: 5, from_steps: vec![0, -2], to: 0, to_steps: vec![3, 1] };
        copy(4, &copying, cast_slice(&from), cast_slice_mut(&mut to));
        assert_eq!(to, [5, 3, 1, 5, 3, 1]);
    }

    #[test]
    fn a_gather_may_start_and_end_anywhere() {
        let (lengths, steps) = ([4, 3, 5], [0, 5, 1]);
        let from: Vec<u8> = (0..15).collect();
        let whole: Vec<u8> = (0..60).map(|i| i % 15).collect();
        for start in 0..60 {
            for end in start..=60 {
                let mut out = vec![0; end - start];
                gather(1, &lengths, &steps, 0, start, &from, &mut out);
                assert_eq!(out, whole[start..end]);
            }
        }
    }

    #[test]
    fn a_single_number_repeats() {
        let mut out = [0_u8; 3];
        gather(1, &[], &[], 0, 0, &[7], &mut out);
        assert_eq!(out, [7; 3]);
        let mut words = [0_u64; 2];
        let mut value = [0; 16];
        value[..8].copy_from_slice(&3_u64.to_ne_bytes());
        splat(8, value, cast_slice_mut(&mut words));
        assert_eq!(words, [3, 3]);
        splat(16, value, cast_slice_mut(&mut words));
        assert_eq!(words, [3, 0]);
    }
}

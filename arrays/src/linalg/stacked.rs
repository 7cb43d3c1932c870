//! Products of stacks of matrices.

use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::kernel::custom::{Kernel, Rows};
use crate::kernel::product;
use crate::shape::{Shape, broadcast};

/// The matrix product over the last two axes, with the others broadcast; as NumPy's `matmul`.
///
/// Cost: of two stacks nothing travels if their first axes are equally long; a matrix beside a stack is gathered.
///
/// # Errors
/// Replicated: `Error::Shape` for shapes that do not go together.
pub fn matmul(x: &Array, y: &Array) -> Result<Array> {
    if x.shape().len() <= 2 && y.shape().len() <= 2 {
        return x.matmul(y);
    }
    let (left, right) = (x.shape(), y.shape());
    if left.is_empty() || right.is_empty() {
        return Err(Error::Shape("matmul: Input operand does not have enough dimensions (has 0, requires 1)".into()));
    }
    let (lead_x, m) = split(left, left.len() == 1, 1);
    let (lead_y, n) = split(right, right.len() == 1, 0);
    let k = left[left.len() - 1];
    let inner = if right.len() == 1 { right[0] } else { right[right.len() - 2] };
    if k != inner {
        return Err(Error::Shape(format!(
            "matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature \
             (n?,k),(k,m?)->(n?,m?) (size {inner} is different from {k})"
        )));
    }
    let lead = broadcast(&[&Shape::new(lead_x)?, &Shape::new(lead_y)?])?;
    let dtype = x.dtype().promote(y.dtype());
    let mut shape = lead.to_vec();
    shape.extend(m);
    shape.extend(n);
    let (m, n) = (m.unwrap_or(1), n.unwrap_or(1));
    if k == 0 {
        return Array::full(x.world(), &shape, Scalar::Int(0), dtype);
    }
    let (x, y) = (x.astype(dtype)?, y.astype(dtype)?);
    let (x, x_aligned) = if lead_x.is_empty() { (x, false) } else { (spread(&x, &lead, &left[lead_x.len()..])?, true) };
    let (y, y_aligned) =
        if lead_y.is_empty() { (y, false) } else { (spread(&y, &lead, &right[lead_y.len()..])?, true) };
    let kernel = Kernel::new("product", format!("{m} {k} {n} {x_aligned} {y_aligned}"), move |rows, out| {
        products(dtype, [m, k, n], [x_aligned, y_aligned], rows, out);
        Ok(())
    });
    let (mut aligned, mut whole) = (Vec::new(), Vec::new());
    for (array, is_aligned) in [(&x, x_aligned), (&y, y_aligned)] {
        if is_aligned { aligned.push(array) } else { whole.push(array) }
    }
    Array::custom(x.world(), kernel, &shape, dtype, &aligned, &whole)
}

/// The axes before a matrix (or a vector), and the length that the result keeps of it.
fn split(shape: &[usize], vector: bool, kept: usize) -> (&[usize], Option<usize>) {
    if vector {
        return (&[], None);
    }
    let lead = shape.len() - 2;
    (&shape[..lead], Some(shape[lead + 1 - kept]))
}

fn spread(array: &Array, lead: &[usize], core: &[usize]) -> Result<Array> {
    array.broadcast_to(&[lead, core].concat())
}

fn products(dtype: DType, [m, k, n]: [usize; 3], [x_aligned, y_aligned]: [bool; 2], rows: &Rows<'_>, out: &mut [u8]) {
    let item = dtype.bytes();
    if m * n == 0 {
        return;
    }
    let (mut aligned, mut whole) = (rows.aligned.iter(), rows.whole.iter());
    let mut side = |is_aligned: bool| *if is_aligned { aligned.next() } else { whole.next() }.expect("two operands");
    let (x, y) = (side(x_aligned), side(y_aligned));
    for (index, out) in out.chunks_mut(m * n * item).enumerate() {
        let part = |bytes: &[u8], is_aligned: bool, elements: usize| -> std::ops::Range<usize> {
            let start = if is_aligned { index * elements * item } else { 0 };
            assert!(start + elements * item <= bytes.len(), "an operand is as long as its shape says");
            start..start + elements * item
        };
        let (a, b) = (part(x, x_aligned, m * k), part(y, y_aligned, k * n));
        product::rows(dtype, m, k, n, &x[a], &y[b], out);
    }
}

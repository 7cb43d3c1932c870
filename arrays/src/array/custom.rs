//! Arrays that a kernel of another module computes.

use super::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::evaluate::{factor_columns, tall_qr};
use crate::expr;
use crate::kernel::custom::Kernel;
use crate::kernel::dense::Factor;
use crate::shape::Shape;
use girih_runtime::world::World;

impl Array {
    /// Rows that `kernel` computes: each from the same row of the `aligned` arrays, and from all of the `whole` ones.
    ///
    /// Cost: no message but those that gather what is needed whole.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` if the shape is larger than memory can be; mistakes that the kernel finds, if it is
    /// computed at once.
    ///
    /// # Panics
    /// If an aligned array has another number of rows.
    pub fn custom(
        world: &World,
        kernel: Kernel,
        shape: &[usize],
        dtype: DType,
        aligned: &[&Array],
        whole: &[&Array],
    ) -> Result<Array> {
        let inputs = aligned.iter().chain(whole).map(|array| array.node().clone()).collect();
        Array::record(world, expr::custom(kernel, Shape::new(shape)?, dtype, aligned.len(), inputs))
    }

    /// The orthogonal factorisation of a tall matrix.
    pub(crate) fn tall_qr(&self) -> Result<(Array, Array)> {
        self.wait()?;
        let world = self.world();
        let (q, r) = tall_qr(world, self.node())?;
        Ok((Array::record(world, q)?, Array::record(world, r)?))
    }

    /// The factors of a large matrix, in these shapes; `b` holds the right-hand sides of [`Factor::Solve`].
    pub(crate) fn factor_columns(&self, factor: Factor, b: Option<&Array>, shapes: &[Shape]) -> Result<Vec<Array>> {
        self.wait()?;
        b.map_or(Ok(()), Array::wait)?;
        let world = self.world();
        let factors = factor_columns(world, factor, self.node(), b.map(Array::node), shapes)?;
        factors.into_iter().map(|node| Array::record(world, node)).collect()
    }
}

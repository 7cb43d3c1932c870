//! Elementwise arithmetic, comparisons, logic, selection and conversion.

use super::Array;
use crate::dtype::{DType, Scalar};
use crate::error::Result;
use crate::expr;
use crate::kernel::operation::{Binary, Unary};
use std::sync::Arc;

/// A side of an operation: an array, or a number that takes the array's type.
#[derive(Clone, Debug)]
pub enum Operand {
    /// An array.
    Array(Array),
    /// A number.
    Scalar(Scalar),
}

impl Operand {
    fn inner(&self) -> expr::Operand {
        match self {
            Operand::Array(array) => expr::Operand::Array(Arc::clone(array.node())),
            Operand::Scalar(scalar) => expr::Operand::Scalar(*scalar),
        }
    }
}

impl From<Array> for Operand {
    fn from(array: Array) -> Operand {
        Operand::Array(array)
    }
}

impl From<&Array> for Operand {
    fn from(array: &Array) -> Operand {
        Operand::Array(array.clone())
    }
}

impl From<Scalar> for Operand {
    fn from(scalar: Scalar) -> Operand {
        Operand::Scalar(scalar)
    }
}

impl From<f64> for Operand {
    fn from(value: f64) -> Operand {
        Operand::Scalar(Scalar::Float(value))
    }
}

impl From<i64> for Operand {
    fn from(value: i64) -> Operand {
        Operand::Scalar(Scalar::Int(value))
    }
}

impl From<bool> for Operand {
    fn from(value: bool) -> Operand {
        Operand::Scalar(Scalar::Bool(value))
    }
}

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident => $op:ident;)*) => {
        impl Array {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// As [`Array::unary`].
            pub fn $name(&self) -> Result<Array> {
                self.unary(Unary::$op)
            }
        )*}
    };
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident => $op:ident;)*) => {
        impl Array {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// As [`Array::binary`].
            pub fn $name(&self, other: impl Into<Operand>) -> Result<Array> {
                self.binary(Binary::$op, other)
            }
        )*}
    };
}

unary! {
    /// `-x`.
    negative => Negative;
    /// `|x|`.
    absolute => Absolute;
    /// `x·x`.
    square => Square;
    /// `√x`.
    sqrt => Sqrt;
    /// `eˣ`.
    exp => Exp;
    /// The natural logarithm.
    log => Log;
    /// Where elements are not numbers.
    is_nan => IsNan;
    /// Where elements are neither infinite nor NaN.
    is_finite => IsFinite;
    /// `~x`: bits, or truth values, turned over.
    invert => Invert;
}

binary! {
    /// `x + y`.
    add => Add;
    /// `x - y`.
    subtract => Subtract;
    /// `x * y`.
    multiply => Multiply;
    /// `x / y`.
    divide => Divide;
    /// `x // y`.
    floor_divide => FloorDivide;
    /// `x % y`.
    remainder => Remainder;
    /// `x ** y`.
    power => Power;
    /// The greater, or NaN if there is one.
    maximum => Maximum;
    /// The less, or NaN if there is one.
    minimum => Minimum;
    /// `x == y`.
    equal => Equal;
    /// `x != y`.
    not_equal => NotEqual;
    /// `x < y`.
    less => Less;
    /// `x <= y`.
    less_equal => LessEqual;
    /// `x > y`.
    greater => Greater;
    /// `x >= y`.
    greater_equal => GreaterEqual;
}

impl Array {
    /// An operation on each element.
    ///
    /// # Errors
    /// Replicated: `Error::Type` if the operation does not take this type.
    pub fn unary(&self, op: Unary) -> Result<Array> {
        self.with(expr::unary(op, self.node())?)
    }

    /// An operation on each pair of elements, this array's on the left.
    ///
    /// # Errors
    /// Replicated: `Error::Shape` if shapes do not broadcast; `Error::Type` if the operation does not take these types.
    pub fn binary(&self, op: Binary, other: impl Into<Operand>) -> Result<Array> {
        self.with(expr::binary(op, &Operand::from(self).inner(), &other.into().inner())?)
    }

    /// An operation on each pair of elements, this array's on the right.
    ///
    /// # Errors
    /// As [`Array::binary`].
    pub fn binary_reversed(&self, op: Binary, other: impl Into<Operand>) -> Result<Array> {
        self.with(expr::binary(op, &other.into().inner(), &Operand::from(self).inner())?)
    }

    /// Elements of `yes` where this array is true, else those of `no`.
    ///
    /// # Errors
    /// As [`Array::binary`].
    pub fn select(&self, yes: impl Into<Operand>, no: impl Into<Operand>) -> Result<Array> {
        self.with(expr::select(&Operand::from(self).inner(), &yes.into().inner(), &no.into().inner())?)
    }

    /// Elements brought between bounds, of which either may be missing.
    ///
    /// # Errors
    /// As [`Array::binary`].
    pub fn clip(&self, least: Option<Operand>, most: Option<Operand>) -> Result<Array> {
        // All three at once, for promotion step by step may give a wider type.
        let bounds = || least.iter().chain(&most);
        let arrays = bounds().filter_map(|bound| if let Operand::Array(array) = bound { Some(array) } else { None });
        let strong = arrays.fold(self.dtype(), |dtype, array| dtype.promote(array.dtype()));
        let weak = bounds().filter_map(|bound| if let Operand::Scalar(scalar) = bound { Some(*scalar) } else { None });
        let within = self.astype(weak.fold(strong, DType::promote_weak))?;
        let raised = least.map_or_else(|| Ok(within.clone()), |least| within.binary(Binary::Maximum, least))?;
        most.map_or_else(|| Ok(raised.clone()), |most| raised.binary(Binary::Minimum, most))
    }

    /// Elements as another type.
    ///
    /// # Errors
    /// As [`Array::wait`], if much was recorded before.
    pub fn astype(&self, dtype: DType) -> Result<Array> {
        self.with(expr::cast(self.node(), dtype))
    }

    /// Where elements are zero or false.
    ///
    /// # Errors
    /// As [`Array::unary`].
    pub fn logical_not(&self) -> Result<Array> {
        self.unary(Unary::LogicalNot)
    }
}

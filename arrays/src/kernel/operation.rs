//! The elementwise operations, and the type of their results.

use crate::dtype::DType;

/// An operation on one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are NumPy's")]
pub enum Unary {
    Negative,
    Absolute,
    Sign,
    Square,
    Reciprocal,
    Invert,
    Sqrt,
    Cbrt,
    Exp,
    Exp2,
    Expm1,
    Log,
    Log2,
    Log10,
    Log1p,
    Sin,
    Cos,
    Tan,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
    Arcsinh,
    Arccosh,
    Arctanh,
    Floor,
    Ceil,
    Rint,
    Trunc,
    IsNan,
    IsInf,
    IsFinite,
    SignBit,
}

/// An operation on two elements of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are NumPy's")]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
    Maximum,
    Minimum,
    Fmax,
    Fmin,
    Arctan2,
    Hypot,
    CopySign,
    And,
    Or,
    Xor,
    LeftShift,
    RightShift,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// An operation that a program does on chunks of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    /// One operand.
    Unary(Unary),
    /// Two operands of one type.
    Binary(Binary),
    /// One operand, as another type.
    Cast(DType),
    /// Three operands: where the first is true the second, else the third.
    Select,
}

impl Unary {
    /// Whether the operation is a question.
    pub(crate) fn asks(self) -> bool {
        matches!(self, Unary::IsNan | Unary::IsInf | Unary::IsFinite | Unary::SignBit)
    }

    /// Whether the operation takes integers as they are.
    pub(crate) fn takes_integers(self) -> bool {
        use Unary::{Absolute, Ceil, Floor, Invert, Negative, Reciprocal, Sign, Square, Trunc};
        matches!(self, Negative | Absolute | Sign | Square | Reciprocal | Invert | Floor | Ceil | Trunc)
    }

    /// NumPy's name.
    pub fn name(self) -> &'static str {
        use Unary::*;
        match self {
            Negative => "negative",
            Absolute => "absolute",
            Sign => "sign",
            Square => "square",
            Reciprocal => "reciprocal",
            Invert => "invert",
            Sqrt => "sqrt",
            Cbrt => "cbrt",
            Exp => "exp",
            Exp2 => "exp2",
            Expm1 => "expm1",
            Log => "log",
            Log2 => "log2",
            Log10 => "log10",
            Log1p => "log1p",
            Sin => "sin",
            Cos => "cos",
            Tan => "tan",
            Arcsin => "arcsin",
            Arccos => "arccos",
            Arctan => "arctan",
            Sinh => "sinh",
            Cosh => "cosh",
            Tanh => "tanh",
            Arcsinh => "arcsinh",
            Arccosh => "arccosh",
            Arctanh => "arctanh",
            Floor => "floor",
            Ceil => "ceil",
            Rint => "rint",
            Trunc => "trunc",
            IsNan => "isnan",
            IsInf => "isinf",
            IsFinite => "isfinite",
            SignBit => "signbit",
        }
    }
}

impl Binary {
    /// Whether the operation compares.
    pub fn compares(self) -> bool {
        use Binary::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }

    /// Whether the operation is on bits, and so not for floating-point numbers.
    pub(crate) fn is_bitwise(self) -> bool {
        use Binary::{And, LeftShift, Or, RightShift, Xor};
        matches!(self, And | Or | Xor | LeftShift | RightShift)
    }

    /// NumPy's name.
    pub fn name(self) -> &'static str {
        use Binary::*;
        match self {
            Add => "add",
            Subtract => "subtract",
            Multiply => "multiply",
            Divide => "divide",
            FloorDivide => "floor_divide",
            Remainder => "remainder",
            Power => "power",
            Maximum => "maximum",
            Minimum => "minimum",
            Fmax => "fmax",
            Fmin => "fmin",
            Arctan2 => "arctan2",
            Hypot => "hypot",
            CopySign => "copysign",
            And => "bitwise_and",
            Or => "bitwise_or",
            Xor => "bitwise_xor",
            LeftShift => "left_shift",
            RightShift => "right_shift",
            Equal => "equal",
            NotEqual => "not_equal",
            Less => "less",
            LessEqual => "less_equal",
            Greater => "greater",
            GreaterEqual => "greater_equal",
        }
    }
}

impl Operation {
    /// The type of the result on operands of the given type.
    pub(crate) fn result(self, dtype: DType) -> DType {
        match self {
            Operation::Unary(op) if op.asks() => DType::Bool,
            Operation::Binary(op) if op.compares() => DType::Bool,
            Operation::Cast(to) => to,
            _ => dtype,
        }
    }
}

//! The elementwise operations: which types each takes, and the type of its result.
//!
//! What an operation takes is said by its [`Loops`]: an operand of a type that has no loop is converted to the first
//! type that has one and holds all its values, as NumPy's functions do it.

use crate::dtype::{DType, Kind};

/// The types for which an operation is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loops {
    /// All.
    All,
    /// All numbers; bool becomes `int8`.
    Numbers,
    /// All numbers; bool is refused.
    NoBool,
    /// All but complex numbers.
    Ordered,
    /// Real numbers; bool becomes `int8`.
    RealNumbers,
    /// Bool and integers.
    Bits,
    /// Integers; bool becomes `int8`.
    Integers,
    /// Integers; bool is refused.
    IntegersNoBool,
    /// Real floating-point numbers; shorter ones convert.
    Floats,
    /// Floating-point numbers, real or complex; shorter ones convert.
    Inexact,
    /// Floating-point numbers, real or complex; integers and bool become `float64`.
    Quotients,
    /// `float64` and `complex128`.
    Doubles,
}

impl Loops {
    /// The type in which an operand of type `dtype` is computed; none if it is refused.
    pub fn resolve(self, dtype: DType) -> Option<DType> {
        use Kind::{Bool, Complex, Float};
        let kind = dtype.kind();
        let widened = || if kind == Bool { DType::Int8 } else { dtype };
        let found = match self {
            Loops::All => dtype,
            Loops::Numbers => widened(),
            Loops::NoBool => return (kind != Bool).then_some(dtype),
            Loops::Ordered => return (kind != Complex).then_some(dtype),
            Loops::RealNumbers => return (kind != Complex).then(widened),
            Loops::Bits => return (!dtype.is_inexact()).then_some(dtype),
            Loops::Integers => return (!dtype.is_inexact()).then(widened),
            Loops::IntegersNoBool => return dtype.is_integer().then_some(dtype),
            Loops::Floats => return (kind != Complex).then(|| dtype.to_float()),
            Loops::Inexact => dtype.to_float(),
            Loops::Quotients => dtype.to_mean(),
            Loops::Doubles => match kind {
                Complex => DType::Complex128,
                Bool | Kind::Unsigned | Kind::Signed | Float => DType::Float64,
            },
        };
        Some(found)
    }
}

macro_rules! operations {
    ($(#[$doc:meta])* $class:ident: $($op:ident $name:literal $loops:ident;)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the names are NumPy's")]
        pub enum $class {
            $($op,)*
        }

        impl $class {
            /// NumPy's name.
            pub fn name(self) -> &'static str {
                match self {
                    $($class::$op => $name,)*
                }
            }

            /// The types for which it is defined.
            pub fn loops(self) -> Loops {
                match self {
                    $($class::$op => Loops::$loops,)*
                }
            }

            /// The operation of this name.
            pub fn named(name: &str) -> Option<$class> {
                match name {
                    $($name => Some($class::$op),)*
                    _ => None,
                }
            }
        }
    };
}

operations! {
    /// An operation on one element.
    Unary:
    Negative "negative" NoBool;
    Positive "positive" NoBool;
    Absolute "absolute" All;
    Fabs "fabs" Floats;
    Sign "sign" NoBool;
    Square "square" Numbers;
    Reciprocal "reciprocal" Numbers;
    Conjugate "conjugate" Numbers;
    Real "real" All;
    Imag "imag" All;
    Angle "angle" Quotients;
    Invert "invert" Bits;
    LogicalNot "logical_not" All;
    BitwiseCount "bitwise_count" Integers;
    Sqrt "sqrt" Inexact;
    Cbrt "cbrt" Floats;
    Exp "exp" Inexact;
    Exp2 "exp2" Inexact;
    Expm1 "expm1" Inexact;
    Log "log" Inexact;
    Log2 "log2" Inexact;
    Log10 "log10" Inexact;
    Log1p "log1p" Inexact;
    Sin "sin" Inexact;
    Cos "cos" Inexact;
    Tan "tan" Inexact;
    Arcsin "arcsin" Inexact;
    Arccos "arccos" Inexact;
    Arctan "arctan" Inexact;
    Sinh "sinh" Inexact;
    Cosh "cosh" Inexact;
    Tanh "tanh" Inexact;
    Arcsinh "arcsinh" Inexact;
    Arccosh "arccosh" Inexact;
    Arctanh "arctanh" Inexact;
    Deg2rad "deg2rad" Floats;
    Rad2deg "rad2deg" Floats;
    Floor "floor" Ordered;
    Ceil "ceil" Ordered;
    Trunc "trunc" Ordered;
    Rint "rint" Inexact;
    Spacing "spacing" Floats;
    FrexpMantissa "frexp" Floats;
    FrexpExponent "frexp exponent" Floats;
    ModfFraction "modf" Floats;
    I0 "i0" Floats;
    IsNan "isnan" All;
    IsInf "isinf" All;
    IsFinite "isfinite" All;
    SignBit "signbit" Floats;
}

operations! {
    /// An operation on two elements of one type.
    Binary:
    Add "add" All;
    Subtract "subtract" NoBool;
    Multiply "multiply" All;
    Divide "divide" Quotients;
    FloorDivide "floor_divide" RealNumbers;
    Remainder "remainder" RealNumbers;
    Fmod "fmod" RealNumbers;
    Power "power" Numbers;
    FloatPower "float_power" Doubles;
    Maximum "maximum" All;
    Minimum "minimum" All;
    Fmax "fmax" All;
    Fmin "fmin" All;
    Arctan2 "arctan2" Floats;
    Hypot "hypot" Floats;
    Logaddexp "logaddexp" Floats;
    Logaddexp2 "logaddexp2" Floats;
    Heaviside "heaviside" Floats;
    Nextafter "nextafter" Floats;
    CopySign "copysign" Floats;
    Ldexp "ldexp" Floats;
    Gcd "gcd" IntegersNoBool;
    Lcm "lcm" IntegersNoBool;
    And "bitwise_and" Bits;
    Or "bitwise_or" Bits;
    Xor "bitwise_xor" Bits;
    LeftShift "left_shift" Integers;
    RightShift "right_shift" Integers;
    LogicalAnd "logical_and" All;
    LogicalOr "logical_or" All;
    LogicalXor "logical_xor" All;
    Equal "equal" All;
    NotEqual "not_equal" All;
    Less "less" All;
    LessEqual "less_equal" All;
    Greater "greater" All;
    GreaterEqual "greater_equal" All;
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
    /// The type of the result on an operand of the type that [`Loops::resolve`] chose.
    pub fn result(self, dtype: DType) -> DType {
        match self {
            Unary::IsNan | Unary::IsInf | Unary::IsFinite | Unary::SignBit | Unary::LogicalNot => DType::Bool,
            Unary::Absolute | Unary::Real | Unary::Imag | Unary::Angle => dtype.real(),
            Unary::BitwiseCount => DType::Uint8,
            Unary::FrexpExponent => DType::Int32,
            _ => dtype,
        }
    }
}

impl Binary {
    /// Whether the operation compares.
    pub fn compares(self) -> bool {
        use Binary::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }

    /// Whether the operation is on truth values, to which operands of any type convert.
    pub fn is_logical(self) -> bool {
        matches!(self, Binary::LogicalAnd | Binary::LogicalOr | Binary::LogicalXor)
    }

    /// The type of the result on operands of the type that [`Loops::resolve`] chose.
    pub fn result(self, dtype: DType) -> DType {
        if self.compares() || self.is_logical() { DType::Bool } else { dtype }
    }
}

impl Operation {
    /// Roughly how long it takes for an element, in sixteenths of a nanosecond.
    pub(crate) fn effort(self) -> usize {
        let loops = match self {
            Operation::Unary(op) => op.loops(),
            Operation::Binary(Binary::FloorDivide | Binary::Remainder | Binary::Fmod | Binary::Power) => Loops::Floats,
            Operation::Binary(op) => op.loops(),
            Operation::Cast(_) | Operation::Select => Loops::All,
        };
        match loops {
            Loops::Floats | Loops::Inexact | Loops::Doubles | Loops::IntegersNoBool => 64,
            Loops::Quotients => 8,
            _ => 2,
        }
    }

    /// The type of the result on operands of the given type.
    pub(crate) fn result(self, dtype: DType) -> DType {
        match self {
            Operation::Unary(op) => op.result(dtype),
            Operation::Binary(op) => op.result(dtype),
            Operation::Cast(to) => to,
            Operation::Select => dtype,
        }
    }
}

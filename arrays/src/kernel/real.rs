//! What the two floating-point types have in common, so that a kernel is written once.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

/// `f32` or `f64`.
pub(super) trait Real:
    bytemuck::Pod
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Rem<Output = Self>
    + Neg<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;
    const HALF: Self;
    const TWO: Self;

    /// Rounded from `f64`.
    fn from_wide(value: f64) -> Self;

    fn wide(self) -> f64;
    fn abs(self) -> Self;
    fn sqrt(self) -> Self;
    fn cbrt(self) -> Self;
    fn exp(self) -> Self;
    fn exp2(self) -> Self;
    fn exp_m1(self) -> Self;
    fn ln(self) -> Self;
    fn log2(self) -> Self;
    fn log10(self) -> Self;
    fn ln_1p(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn asinh(self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    fn trunc(self) -> Self;
    fn round_ties_even(self) -> Self;
    fn is_nan(self) -> bool;
    fn is_infinite(self) -> bool;
    fn is_finite(self) -> bool;
    fn is_sign_negative(self) -> bool;
    fn powf(self, exponent: Self) -> Self;
    fn atan2(self, x: Self) -> Self;
    fn hypot(self, other: Self) -> Self;
    fn copysign(self, sign: Self) -> Self;
}

macro_rules! forward {
    ($real:ty: $($one:ident)*; $($asks:ident)*; $($two:ident)*) => {
        $(#[inline(always)]
        fn $one(self) -> $real {
            <$real>::$one(self)
        })*
        $(#[inline(always)]
        fn $asks(self) -> bool {
            <$real>::$asks(self)
        })*
        $(#[inline(always)]
        fn $two(self, other: $real) -> $real {
            <$real>::$two(self, other)
        })*
    };
}

macro_rules! real {
    ($real:ty) => {
        impl Real for $real {
            const ZERO: $real = 0.0;
            const ONE: $real = 1.0;
            const HALF: $real = 0.5;
            const TWO: $real = 2.0;

            #[inline(always)]
            fn from_wide(value: f64) -> $real {
                value as $real
            }

            #[inline(always)]
            fn wide(self) -> f64 {
                self as f64
            }

            forward! {
                $real: abs sqrt cbrt exp exp2 exp_m1 ln log2 log10 ln_1p sin cos tan asin acos atan sinh cosh
                asinh floor ceil trunc round_ties_even; is_nan is_infinite is_finite is_sign_negative;
                powf atan2 hypot copysign
            }
        }
    };
}

real!(f32);
real!(f64);

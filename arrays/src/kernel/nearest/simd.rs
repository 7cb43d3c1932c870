//! The vectors that the kernels of this folder are written for, and the choice between them.
//!
//! A kernel is written once, as [`Work`] over a [`Simd`], and compiled once for each set of instructions.
//! All sets that have a fused multiply-add give the same bits: a lane does what a scalar would do.
//! Never here: intrinsics (see `x86`), and what a kernel computes.

#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};

/// Vectors of `T` with the few operations that the kernels need; `self` proves that the machine has them.
pub trait Simd<T>: Copy {
    /// `LANES` values.
    type Vector: Copy;
    /// `LANES` indices, in lanes as wide as those of `Vector`.
    type Index: Copy;
    /// Values in a vector.
    const LANES: usize;
    /// Vectors of points, 3 or 2, and centres, 8 or 4, whose products are summed in registers at once.
    const BLOCK: (usize, usize);

    /// The value in all lanes.
    fn splat(self, value: T) -> Self::Vector;
    /// The first `LANES` values.
    fn load(self, from: &[T]) -> Self::Vector;
    /// Writes the first `LANES` values.
    fn store(self, vector: Self::Vector, to: &mut [T]);
    /// `a − b`.
    fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a · b + c`, rounded once.
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The index in all lanes.
    fn splat_index(self, index: i32) -> Self::Index;
    /// The next index in each lane.
    fn next_index(self, index: Self::Index) -> Self::Index;
    /// The first `LANES` indices.
    fn load_index(self, from: &[i32]) -> Self::Index;
    /// Writes the first `LANES` indices.
    fn store_index(self, index: Self::Index, to: &mut [i32]);
    /// Takes over value and index in the lanes where the value is lower than the best.
    fn lower(
        self,
        best: (Self::Vector, Self::Index),
        value: Self::Vector,
        index: Self::Index,
    ) -> (Self::Vector, Self::Index);
    /// The second lowest of what was met, when `value` is met beside the lowest `best`.
    fn second(self, best: Self::Vector, second: Self::Vector, value: Self::Vector) -> Self::Vector;
    /// Asks for the line of the first value, which is soon needed; a hint without effect on results.
    fn prefetch<U>(self, from: &[U]);
    /// The first four columns of `LANES` rows that start `stride` values apart, a vector for each column.
    fn columns(self, rows: &[T], stride: usize) -> [Self::Vector; 4];
}

/// Sums of products of bytes with words of 16 bits, four bytes in each lane; all results are exact.
pub trait Bytes: Simd<f32> {
    /// The lanes' bits.
    fn bits(self, vector: <Self as Simd<f32>>::Vector) -> <Self as Simd<f32>>::Index;
    /// The first and the third byte of each lane, with their signs, as two words.
    fn even_bytes(self, lanes: <Self as Simd<f32>>::Index) -> <Self as Simd<f32>>::Index;
    /// The second and the fourth.
    fn odd_bytes(self, lanes: <Self as Simd<f32>>::Index) -> <Self as Simd<f32>>::Index;
    /// The sum and the products of both words of each lane; nobody's sum leaves 32 bits.
    fn add_products(
        self,
        a: <Self as Simd<f32>>::Index,
        b: <Self as Simd<f32>>::Index,
        sum: <Self as Simd<f32>>::Index,
    ) -> <Self as Simd<f32>>::Index;
    /// The nearest numbers.
    fn numbers(self, integers: <Self as Simd<f32>>::Index) -> <Self as Simd<f32>>::Vector;
}

/// Vectors of `T` beside vectors of `f64`, and of bytes.
pub trait Widening<T>: Simd<T> + Simd<f64> + Bytes {
    /// As many values as a vector of `f64` has lanes, exactly.
    fn load_wide(self, from: &[T]) -> <Self as Simd<f64>>::Vector;
}

/// A kernel with its arguments, ready to run on any vectors.
pub trait Work<T> {
    /// Runs the kernel; to be marked `#[inline(always)]`, as is all that it calls with `simd`.
    fn run<S: Widening<T>>(self, simd: S);
}

/// A set of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// 256-bit vectors with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// What the compiler makes of short arrays, with a fused multiply-add (slow where the machine lacks it).
    Fused,
    /// The same with a product rounded before it is added: the only set with bits of its own.
    Plain,
}

impl Isa {
    /// The best set of this machine.
    ///
    /// Cost: a few loads; the machine is asked once for each process.
    pub fn best() -> Isa {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx512) = Avx512::detect() {
            return Isa::Avx512(avx512);
        } else if let Some(avx2) = Avx2::detect() {
            return Isa::Avx2(avx2);
        }
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) { Isa::Fused } else { Isa::Plain }
    }

    /// All sets of this machine.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Isa> {
        let mut all = vec![Isa::Plain, Isa::Fused];
        #[cfg(target_arch = "x86_64")]
        all.extend(Avx2::detect().map(Isa::Avx2).into_iter().chain(Avx512::detect().map(Isa::Avx512)));
        all
    }
}

/// Short arrays as vectors.
#[derive(Clone, Copy)]
pub(super) struct Portable<const FUSED: bool>;

macro_rules! portable {
    ($real:ty, $lanes:literal) => {
        impl<const FUSED: bool> Simd<$real> for Portable<FUSED> {
            type Vector = [$real; $lanes];
            type Index = [i32; $lanes];
            const LANES: usize = $lanes;
            const BLOCK: (usize, usize) = if cfg!(target_arch = "aarch64") { (3, 8) } else { (2, 4) };

            #[inline(always)]
            fn splat(self, value: $real) -> Self::Vector {
                [value; $lanes]
            }
            #[inline(always)]
            fn load(self, from: &[$real]) -> Self::Vector {
                *from.first_chunk().expect("a whole vector")
            }
            #[inline(always)]
            fn store(self, vector: Self::Vector, to: &mut [$real]) {
                *to.first_chunk_mut().expect("a whole vector") = vector;
            }
            #[inline(always)]
            fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                std::array::from_fn(|lane| a[lane] - b[lane])
            }
            #[inline(always)]
            fn multiply_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
                std::array::from_fn(
                    |lane| {
                        if FUSED { a[lane].mul_add(b[lane], c[lane]) } else { a[lane] * b[lane] + c[lane] }
                    },
                )
            }
            #[inline(always)]
            fn splat_index(self, index: i32) -> Self::Index {
                [index; $lanes]
            }
            #[inline(always)]
            fn next_index(self, index: Self::Index) -> Self::Index {
                index.map(|index| index + 1)
            }
            #[inline(always)]
            fn load_index(self, from: &[i32]) -> Self::Index {
                *from.first_chunk().expect("a whole vector")
            }
            #[inline(always)]
            fn store_index(self, index: Self::Index, to: &mut [i32]) {
                *to.first_chunk_mut().expect("a whole vector") = index;
            }
            #[inline(always)]
            fn lower(
                self,
                best: (Self::Vector, Self::Index),
                value: Self::Vector,
                index: Self::Index,
            ) -> (Self::Vector, Self::Index) {
                let (mut lowest, mut at) = best;
                for lane in 0..$lanes {
                    let lower = value[lane] < lowest[lane];
                    at[lane] = if lower { index[lane] } else { at[lane] };
                    lowest[lane] = if lower { value[lane] } else { lowest[lane] };
                }
                (lowest, at)
            }
            #[inline(always)]
            fn second(self, best: Self::Vector, second: Self::Vector, value: Self::Vector) -> Self::Vector {
                std::array::from_fn(|lane| {
                    let higher = if value[lane] > best[lane] { value[lane] } else { best[lane] };
                    if higher < second[lane] { higher } else { second[lane] }
                })
            }
            #[inline(always)]
            fn prefetch<U>(self, _: &[U]) {}
            #[inline(always)]
            fn columns(self, rows: &[$real], stride: usize) -> [Self::Vector; 4] {
                let rows: [&[$real; 4]; $lanes] =
                    std::array::from_fn(|row| rows[row * stride..].first_chunk().expect("four columns"));
                std::array::from_fn(|column| rows.map(|row| row[column]))
            }
        }
    };
}
portable!(f32, 4);
portable!(f64, 2);

impl<const FUSED: bool> Bytes for Portable<FUSED> {
    #[inline(always)]
    fn bits(self, vector: [f32; 4]) -> [i32; 4] {
        vector.map(|value| value.to_bits() as i32)
    }
    #[inline(always)]
    fn even_bytes(self, lanes: [i32; 4]) -> [i32; 4] {
        lanes.map(|lane| i32::from(lane as i8) & 0xFFFF | i32::from((lane >> 16) as i8) << 16)
    }
    #[inline(always)]
    fn odd_bytes(self, lanes: [i32; 4]) -> [i32; 4] {
        self.even_bytes(lanes.map(|lane| lane >> 8))
    }
    #[inline(always)]
    fn add_products(self, a: [i32; 4], b: [i32; 4], sum: [i32; 4]) -> [i32; 4] {
        let low = |lane: i32| i32::from(lane as i16);
        std::array::from_fn(|at| sum[at] + low(a[at]) * low(b[at]) + (a[at] >> 16) * (b[at] >> 16))
    }
    #[inline(always)]
    fn numbers(self, integers: [i32; 4]) -> [f32; 4] {
        integers.map(|integer| integer as f32)
    }
}

impl<const FUSED: bool> Widening<f32> for Portable<FUSED> {
    #[inline(always)]
    fn load_wide(self, from: &[f32]) -> [f64; 2] {
        from.first_chunk::<2>().expect("a whole vector").map(f64::from)
    }
}

impl<const FUSED: bool> Widening<f64> for Portable<FUSED> {
    #[inline(always)]
    fn load_wide(self, from: &[f64]) -> [f64; 2] {
        self.load(from)
    }
}

/// A type that has vectors on every set of instructions.
pub trait Vectorised: Sized {
    /// Runs the work on the vectors of `isa`.
    fn dispatch<W: Work<Self>>(isa: Isa, work: W);
}

macro_rules! vectorised {
    ($real:ty) => {
        impl Vectorised for $real {
            #[inline]
            fn dispatch<W: Work<$real>>(isa: Isa, work: W) {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512(avx512) => avx512.run(work),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2(avx2) => avx2.run(work),
                    Isa::Fused => work.run(Portable::<true>),
                    Isa::Plain => work.run(Portable::<false>),
                }
            }
        }
    };
}
vectorised!(f32);
vectorised!(f64);

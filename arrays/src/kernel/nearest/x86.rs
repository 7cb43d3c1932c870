//! The vectors of x86-64: AVX-512, and AVX2 with fused multiply-add.
//!
//! Invariant: a token ([`Avx512`], [`Avx2`]) exists only on a machine that has the instructions it stands for;
//! it is made by `detect` alone. Memory is touched through slices whose length was checked just before.
//! Never here: loops over data.

#![allow(unsafe_code, reason = "vector instructions and their loads, behind tokens and checked slices")]

use super::simd::{Bytes, Simd, Widening, Work};
use std::arch::x86_64::*;

/// Proof of AVX-512 F, DQ, VL and BW, and of FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(());

/// Proof of AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

/// An instruction that reads and writes registers only, in a method of a token.
macro_rules! proven {
    ($instruction:expr) => {
        // SAFETY: `self` is a token, so the machine has the instruction; it touches no memory.
        unsafe { $instruction }
    };
}

/// An instruction that reads or writes the start of a slice, in a method of a token.
macro_rules! within {
    ($slice:expr, $length:expr, $instruction:expr) => {{
        assert!($slice.len() >= $length, "the slice ends within a vector");
        // SAFETY: `self` is a token, so the machine has the instruction; the slice is as long as what it touches.
        unsafe { $instruction }
    }};
}

/// Whether a slice of `length` holds four values at the start of each of `rows` rows.
#[inline(always)]
fn holds_rows(length: usize, rows: usize, stride: usize) -> bool {
    stride.checked_mul(rows - 1).and_then(|last| last.checked_add(4)).is_some_and(|end| end <= length)
}

impl Avx512 {
    /// The token, if this machine has the instructions.
    pub(super) fn detect() -> Option<Avx512> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        has.then_some(Avx512(()))
    }

    /// Runs the work compiled for these instructions.
    pub(super) fn run<T, W: Work<T>>(self, work: W)
    where
        Avx512: Widening<T>,
    {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")]
        fn compiled<T, W: Work<T>>(token: Avx512, work: W)
        where
            Avx512: Widening<T>,
        {
            work.run(token);
        }
        proven!(compiled(self, work));
    }
}

impl Avx2 {
    /// The token, if this machine has the instructions.
    pub(super) fn detect() -> Option<Avx2> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }

    /// Runs the work compiled for these instructions.
    pub(super) fn run<T, W: Work<T>>(self, work: W)
    where
        Avx2: Widening<T>,
    {
        #[target_feature(enable = "avx2,fma")]
        fn compiled<T, W: Work<T>>(token: Avx2, work: W)
        where
            Avx2: Widening<T>,
        {
            work.run(token);
        }
        proven!(compiled(self, work));
    }
}

/// The operations whose intrinsics differ in nothing but their names.
macro_rules! plain_operations {
    ($real:ty, $splat:ident, $load:ident, $store:ident, $subtract:ident, $multiply_add:ident) => {
        #[inline(always)]
        fn splat(self, value: $real) -> Self::Vector {
            proven!($splat(value))
        }
        #[inline(always)]
        fn load(self, from: &[$real]) -> Self::Vector {
            within!(from, <Self as Simd<$real>>::LANES, $load(from.as_ptr()))
        }
        #[inline(always)]
        fn store(self, vector: Self::Vector, to: &mut [$real]) {
            within!(to, <Self as Simd<$real>>::LANES, $store(to.as_mut_ptr(), vector))
        }
        #[inline(always)]
        fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
            proven!($subtract(a, b))
        }
        #[inline(always)]
        fn multiply_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
            proven!($multiply_add(a, b, c))
        }
        #[inline(always)]
        fn prefetch<U>(self, from: &[U]) {
            // Into the second cache: the first is full of what is being worked on.
            proven!(_mm_prefetch::<_MM_HINT_T1>(from.as_ptr().cast()))
        }
    };
}

impl Simd<f32> for Avx512 {
    type Vector = __m512;
    type Index = __m512i;
    const LANES: usize = 16;
    const BLOCK: (usize, usize) = (3, 8);

    plain_operations!(f32, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_sub_ps, _mm512_fmadd_ps);

    #[inline(always)]
    fn splat_index(self, index: i32) -> __m512i {
        proven!(_mm512_set1_epi32(index))
    }
    #[inline(always)]
    fn next_index(self, index: __m512i) -> __m512i {
        proven!(_mm512_add_epi32(index, _mm512_set1_epi32(1)))
    }
    #[inline(always)]
    fn load_index(self, from: &[i32]) -> __m512i {
        within!(from, 16, _mm512_loadu_epi32(from.as_ptr()))
    }
    #[inline(always)]
    fn store_index(self, index: __m512i, to: &mut [i32]) {
        within!(to, 16, _mm512_storeu_epi32(to.as_mut_ptr(), index))
    }
    #[inline(always)]
    fn lower(self, best: (__m512, __m512i), value: __m512, index: __m512i) -> (__m512, __m512i) {
        let lower = proven!(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(value, best.0));
        // The minimum takes its second operand unless the first is lower, so it agrees with the mask.
        (proven!(_mm512_min_ps(value, best.0)), proven!(_mm512_mask_mov_epi32(best.1, lower, index)))
    }
    #[inline(always)]
    fn second(self, best: Self::Vector, second: Self::Vector, value: Self::Vector) -> Self::Vector {
        let higher = proven!(_mm512_max_ps(value, best));
        proven!(_mm512_min_ps(higher, second))
    }
    #[inline(always)]
    fn columns(self, rows: &[f32], stride: usize) -> [__m512; 4] {
        assert!(holds_rows(rows.len(), 16, stride), "the rows end within a vector");
        // SAFETY: the last of the sixteen rows reads `rows[15 * stride..15 * stride + 4]`, which was checked.
        let row = |row: usize| unsafe { _mm_loadu_ps(rows.as_ptr().add(row * stride)) };
        // Row r, r + 4, r + 8 and r + 12 share a register, so the columns come out in the order of the rows.
        let four = |first: usize| {
            let low = proven!(_mm512_castps128_ps512(row(first)));
            let low = proven!(_mm512_insertf32x4::<1>(low, row(first + 4)));
            let low = proven!(_mm512_insertf32x4::<2>(low, row(first + 8)));
            proven!(_mm512_insertf32x4::<3>(low, row(first + 12)))
        };
        let (a, b, c, d) = (four(0), four(1), four(2), four(3));
        let (ab_low, ab_high) = (proven!(_mm512_unpacklo_ps(a, b)), proven!(_mm512_unpackhi_ps(a, b)));
        let (cd_low, cd_high) = (proven!(_mm512_unpacklo_ps(c, d)), proven!(_mm512_unpackhi_ps(c, d)));
        [
            proven!(_mm512_shuffle_ps::<0b01_00_01_00>(ab_low, cd_low)),
            proven!(_mm512_shuffle_ps::<0b11_10_11_10>(ab_low, cd_low)),
            proven!(_mm512_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high)),
            proven!(_mm512_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high)),
        ]
    }
}

impl Simd<f64> for Avx512 {
    type Vector = __m512d;
    type Index = __m512i;
    const LANES: usize = 8;
    const BLOCK: (usize, usize) = (3, 8);

    plain_operations!(f64, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_sub_pd, _mm512_fmadd_pd);

    #[inline(always)]
    fn splat_index(self, index: i32) -> __m512i {
        proven!(_mm512_set1_epi64(i64::from(index)))
    }
    #[inline(always)]
    fn next_index(self, index: __m512i) -> __m512i {
        proven!(_mm512_add_epi64(index, _mm512_set1_epi64(1)))
    }
    #[inline(always)]
    fn load_index(self, from: &[i32]) -> __m512i {
        within!(from, 8, _mm512_cvtepi32_epi64(_mm256_loadu_epi32(from.as_ptr())))
    }
    #[inline(always)]
    fn store_index(self, index: __m512i, to: &mut [i32]) {
        within!(to, 8, _mm256_storeu_epi32(to.as_mut_ptr(), _mm512_cvtepi64_epi32(index)))
    }
    #[inline(always)]
    fn lower(self, best: (__m512d, __m512i), value: __m512d, index: __m512i) -> (__m512d, __m512i) {
        let lower = proven!(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(value, best.0));
        (proven!(_mm512_min_pd(value, best.0)), proven!(_mm512_mask_mov_epi64(best.1, lower, index)))
    }
    #[inline(always)]
    fn second(self, best: Self::Vector, second: Self::Vector, value: Self::Vector) -> Self::Vector {
        let higher = proven!(_mm512_max_pd(value, best));
        proven!(_mm512_min_pd(higher, second))
    }
    #[inline(always)]
    fn columns(self, rows: &[f64], stride: usize) -> [__m512d; 4] {
        assert!(holds_rows(rows.len(), 8, stride), "the rows end within a vector");
        // SAFETY: the last of the eight rows reads `rows[7 * stride..7 * stride + 4]`, which was checked.
        let row = |row: usize| unsafe { _mm256_loadu_pd(rows.as_ptr().add(row * stride)) };
        let two = |first: usize| {
            let low = proven!(_mm512_castpd256_pd512(row(first)));
            proven!(_mm512_insertf64x4::<1>(low, row(first + 4)))
        };
        let (a, b, c, d) = (two(0), two(1), two(2), two(3));
        let (ab_low, ab_high) = (proven!(_mm512_unpacklo_pd(a, b)), proven!(_mm512_unpackhi_pd(a, b)));
        let (cd_low, cd_high) = (proven!(_mm512_unpacklo_pd(c, d)), proven!(_mm512_unpackhi_pd(c, d)));
        let first = proven!(_mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13));
        let second = proven!(_mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15));
        [
            proven!(_mm512_permutex2var_pd(ab_low, first, cd_low)),
            proven!(_mm512_permutex2var_pd(ab_high, first, cd_high)),
            proven!(_mm512_permutex2var_pd(ab_low, second, cd_low)),
            proven!(_mm512_permutex2var_pd(ab_high, second, cd_high)),
        ]
    }
}

impl Simd<f32> for Avx2 {
    type Vector = __m256;
    type Index = __m256i;
    const LANES: usize = 8;
    const BLOCK: (usize, usize) = (2, 4);

    plain_operations!(f32, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_sub_ps, _mm256_fmadd_ps);

    #[inline(always)]
    fn splat_index(self, index: i32) -> __m256i {
        proven!(_mm256_set1_epi32(index))
    }
    #[inline(always)]
    fn next_index(self, index: __m256i) -> __m256i {
        proven!(_mm256_add_epi32(index, _mm256_set1_epi32(1)))
    }
    #[inline(always)]
    fn load_index(self, from: &[i32]) -> __m256i {
        within!(from, 8, _mm256_loadu_si256(from.as_ptr().cast()))
    }
    #[inline(always)]
    fn store_index(self, index: __m256i, to: &mut [i32]) {
        within!(to, 8, _mm256_storeu_si256(to.as_mut_ptr().cast(), index))
    }
    #[inline(always)]
    fn lower(self, best: (__m256, __m256i), value: __m256, index: __m256i) -> (__m256, __m256i) {
        let lower = proven!(_mm256_castps_si256(_mm256_cmp_ps::<_CMP_LT_OQ>(value, best.0)));
        (proven!(_mm256_min_ps(value, best.0)), proven!(_mm256_blendv_epi8(best.1, index, lower)))
    }
    #[inline(always)]
    fn second(self, best: Self::Vector, second: Self::Vector, value: Self::Vector) -> Self::Vector {
        let higher = proven!(_mm256_max_ps(value, best));
        proven!(_mm256_min_ps(higher, second))
    }
    #[inline(always)]
    fn columns(self, rows: &[f32], stride: usize) -> [__m256; 4] {
        assert!(holds_rows(rows.len(), 8, stride), "the rows end within a vector");
        // SAFETY: the last of the eight rows reads `rows[7 * stride..7 * stride + 4]`, which was checked.
        let row = |row: usize| unsafe { _mm_loadu_ps(rows.as_ptr().add(row * stride)) };
        let two = |first: usize| {
            let low = proven!(_mm256_castps128_ps256(row(first)));
            proven!(_mm256_insertf128_ps::<1>(low, row(first + 4)))
        };
        let (a, b, c, d) = (two(0), two(1), two(2), two(3));
        let (ab_low, ab_high) = (proven!(_mm256_unpacklo_ps(a, b)), proven!(_mm256_unpackhi_ps(a, b)));
        let (cd_low, cd_high) = (proven!(_mm256_unpacklo_ps(c, d)), proven!(_mm256_unpackhi_ps(c, d)));
        [
            proven!(_mm256_shuffle_ps::<0b01_00_01_00>(ab_low, cd_low)),
            proven!(_mm256_shuffle_ps::<0b11_10_11_10>(ab_low, cd_low)),
            proven!(_mm256_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high)),
            proven!(_mm256_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high)),
        ]
    }
}

impl Simd<f64> for Avx2 {
    type Vector = __m256d;
    type Index = __m256i;
    const LANES: usize = 4;
    const BLOCK: (usize, usize) = (2, 4);

    plain_operations!(f64, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_sub_pd, _mm256_fmadd_pd);

    #[inline(always)]
    fn splat_index(self, index: i32) -> __m256i {
        proven!(_mm256_set1_epi64x(i64::from(index)))
    }
    #[inline(always)]
    fn next_index(self, index: __m256i) -> __m256i {
        proven!(_mm256_add_epi64(index, _mm256_set1_epi64x(1)))
    }
    #[inline(always)]
    fn load_index(self, from: &[i32]) -> __m256i {
        within!(from, 4, _mm256_cvtepi32_epi64(_mm_loadu_si128(from.as_ptr().cast())))
    }
    #[inline(always)]
    fn store_index(self, index: __m256i, to: &mut [i32]) {
        let even = proven!(_mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
        let packed = proven!(_mm256_castsi256_si128(_mm256_permutevar8x32_epi32(index, even)));
        within!(to, 4, _mm_storeu_si128(to.as_mut_ptr().cast(), packed))
    }
    #[inline(always)]
    fn lower(self, best: (__m256d, __m256i), value: __m256d, index: __m256i) -> (__m256d, __m256i) {
        let lower = proven!(_mm256_castpd_si256(_mm256_cmp_pd::<_CMP_LT_OQ>(value, best.0)));
        (proven!(_mm256_min_pd(value, best.0)), proven!(_mm256_blendv_epi8(best.1, index, lower)))
    }
    #[inline(always)]
    fn second(self, best: Self::Vector, second: Self::Vector, value: Self::Vector) -> Self::Vector {
        let higher = proven!(_mm256_max_pd(value, best));
        proven!(_mm256_min_pd(higher, second))
    }
    #[inline(always)]
    fn columns(self, rows: &[f64], stride: usize) -> [__m256d; 4] {
        assert!(holds_rows(rows.len(), 4, stride), "the rows end within a vector");
        // SAFETY: the last of the four rows reads `rows[3 * stride..3 * stride + 4]`, which was checked.
        let row = |row: usize| unsafe { _mm256_loadu_pd(rows.as_ptr().add(row * stride)) };
        let (a, b, c, d) = (row(0), row(1), row(2), row(3));
        let (ab_low, ab_high) = (proven!(_mm256_unpacklo_pd(a, b)), proven!(_mm256_unpackhi_pd(a, b)));
        let (cd_low, cd_high) = (proven!(_mm256_unpacklo_pd(c, d)), proven!(_mm256_unpackhi_pd(c, d)));
        [
            proven!(_mm256_permute2f128_pd::<0x20>(ab_low, cd_low)),
            proven!(_mm256_permute2f128_pd::<0x20>(ab_high, cd_high)),
            proven!(_mm256_permute2f128_pd::<0x31>(ab_low, cd_low)),
            proven!(_mm256_permute2f128_pd::<0x31>(ab_high, cd_high)),
        ]
    }
}

/// The operations on bytes, which differ in nothing but the width of vectors.
macro_rules! bytes {
    ($token:ty, $vector:ty, $index:ty, $bits:ident, $left:ident, $right:ident, $products:ident, $add:ident,
        $numbers:ident) => {
        impl Bytes for $token {
            #[inline(always)]
            fn bits(self, vector: $vector) -> $index {
                proven!($bits(vector))
            }
            #[inline(always)]
            fn even_bytes(self, lanes: $index) -> $index {
                self.odd_bytes(proven!($left::<8>(lanes)))
            }
            #[inline(always)]
            fn odd_bytes(self, lanes: $index) -> $index {
                proven!($right::<8>(lanes))
            }
            #[inline(always)]
            fn add_products(self, a: $index, b: $index, sum: $index) -> $index {
                proven!($add(sum, $products(a, b)))
            }
            #[inline(always)]
            fn numbers(self, integers: $index) -> $vector {
                proven!($numbers(integers))
            }
        }
    };
}
bytes!(
    Avx512,
    __m512,
    __m512i,
    _mm512_castps_si512,
    _mm512_slli_epi16,
    _mm512_srai_epi16,
    _mm512_madd_epi16,
    _mm512_add_epi32,
    _mm512_cvtepi32_ps
);
bytes!(
    Avx2,
    __m256,
    __m256i,
    _mm256_castps_si256,
    _mm256_slli_epi16,
    _mm256_srai_epi16,
    _mm256_madd_epi16,
    _mm256_add_epi32,
    _mm256_cvtepi32_ps
);

impl Widening<f32> for Avx512 {
    #[inline(always)]
    fn load_wide(self, from: &[f32]) -> __m512d {
        within!(from, 8, _mm512_cvtps_pd(_mm256_loadu_ps(from.as_ptr())))
    }
}

impl Widening<f64> for Avx512 {
    #[inline(always)]
    fn load_wide(self, from: &[f64]) -> __m512d {
        self.load(from)
    }
}

impl Widening<f32> for Avx2 {
    #[inline(always)]
    fn load_wide(self, from: &[f32]) -> __m256d {
        within!(from, 4, _mm256_cvtps_pd(_mm_loadu_ps(from.as_ptr())))
    }
}

impl Widening<f64> for Avx2 {
    #[inline(always)]
    fn load_wide(self, from: &[f64]) -> __m256d {
        self.load(from)
    }
}

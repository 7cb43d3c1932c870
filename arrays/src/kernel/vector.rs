//! Runs a loop in the version compiled for the widest vectors of this machine.
//!
//! All versions do the same operations in the same order: the compiler may neither fuse a product with a
//! sum that was not written fused, nor reorder one, so the bits do not depend on the version.

#![allow(unsafe_code, reason = "functions for newer vectors are called here, after asking the machine for them")]

/// A loop over slices. `run` must be `#[inline(always)]`, to be compiled anew in each version.
pub(crate) trait Loop {
    /// What the loop leaves.
    type Output;

    fn run(self) -> Self::Output;
}

/// Runs a loop.
///
/// Cost: the loop's own, and a look at what the machine has.
pub(crate) fn run<L: Loop>(body: L) -> L::Output {
    #[cfg(target_arch = "x86_64")]
    {
        let fused = is_x86_feature_detected!("fma");
        if fused && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            // SAFETY: the machine has just said that it has these instructions.
            return unsafe { with_avx512(body) };
        }
        if fused && is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has just said that it has these instructions.
            return unsafe { with_avx2(body) };
        }
    }
    body.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,fma")]
fn with_avx512<L: Loop>(body: L) -> L::Output {
    body.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2<L: Loop>(body: L) -> L::Output {
    body.run()
}

/// `out[i] = f(a[i])`.
pub(crate) struct Map1<'a, A, R, F> {
    pub(crate) a: &'a [A],
    pub(crate) out: &'a mut [R],
    pub(crate) f: F,
}

impl<A: Copy, R, F: Fn(A) -> R> Loop for Map1<'_, A, R, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (out, &a) in self.out.iter_mut().zip(self.a) {
            *out = (self.f)(a);
        }
    }
}

/// `out[i] = f(a[i], b[i])`.
pub(crate) struct Map2<'a, A, B, R, F> {
    pub(crate) a: &'a [A],
    pub(crate) b: &'a [B],
    pub(crate) out: &'a mut [R],
    pub(crate) f: F,
}

impl<A: Copy, B: Copy, R, F: Fn(A, B) -> R> Loop for Map2<'_, A, B, R, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((out, &a), &b) in self.out.iter_mut().zip(self.a).zip(self.b) {
            *out = (self.f)(a, b);
        }
    }
}

/// `out[i]` is `yes[i]` where the condition is true, else `no[i]`.
pub(crate) struct Select<'a, T> {
    pub(crate) condition: &'a [u8],
    pub(crate) yes: &'a [T],
    pub(crate) no: &'a [T],
    pub(crate) out: &'a mut [T],
}

impl<T: Copy> Loop for Select<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        // By number, for the compiler makes no vectors of four iterators that go together.
        let length = self.out.len();
        let (condition, yes, no) = (&self.condition[..length], &self.yes[..length], &self.no[..length]);
        for i in 0..length {
            let (yes, no) = (yes[i], no[i]);
            self.out[i] = if condition[i] != 0 { yes } else { no };
        }
    }
}

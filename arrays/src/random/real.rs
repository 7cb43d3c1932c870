//! Distributions of real numbers: one number from the words of one element.

use super::philox::Draws;
use rand_distr::{Beta, Distribution, Exp1, Gamma, InverseGaussian, Poisson, StandardNormal};
use std::f64::consts::PI;

/// A distribution of real numbers; parameters are NumPy's, in NumPy's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are NumPy's")]
pub enum Real {
    Random,
    Uniform,
    StandardNormal,
    Normal,
    StandardExponential,
    Exponential,
    StandardGamma,
    Gamma,
    Beta,
    Chisquare,
    NoncentralChisquare,
    F,
    NoncentralF,
    StandardCauchy,
    StandardT,
    Vonmises,
    Pareto,
    Weibull,
    Power,
    Laplace,
    Gumbel,
    Logistic,
    Lognormal,
    Rayleigh,
    Wald,
    Triangular,
}

impl Real {
    /// All of them.
    pub const ALL: [Real; 26] = [
        Real::Random,
        Real::Uniform,
        Real::StandardNormal,
        Real::Normal,
        Real::StandardExponential,
        Real::Exponential,
        Real::StandardGamma,
        Real::Gamma,
        Real::Beta,
        Real::Chisquare,
        Real::NoncentralChisquare,
        Real::F,
        Real::NoncentralF,
        Real::StandardCauchy,
        Real::StandardT,
        Real::Vonmises,
        Real::Pareto,
        Real::Weibull,
        Real::Power,
        Real::Laplace,
        Real::Gumbel,
        Real::Logistic,
        Real::Lognormal,
        Real::Rayleigh,
        Real::Wald,
        Real::Triangular,
    ];

    /// NumPy's name and the number of parameters.
    pub fn name(self) -> (&'static str, usize) {
        match self {
            Real::Random => ("random", 0),
            Real::Uniform => ("uniform", 2),
            Real::StandardNormal => ("standard_normal", 0),
            Real::Normal => ("normal", 2),
            Real::StandardExponential => ("standard_exponential", 0),
            Real::Exponential => ("exponential", 1),
            Real::StandardGamma => ("standard_gamma", 1),
            Real::Gamma => ("gamma", 2),
            Real::Beta => ("beta", 2),
            Real::Chisquare => ("chisquare", 1),
            Real::NoncentralChisquare => ("noncentral_chisquare", 2),
            Real::F => ("f", 2),
            Real::NoncentralF => ("noncentral_f", 3),
            Real::StandardCauchy => ("standard_cauchy", 0),
            Real::StandardT => ("standard_t", 1),
            Real::Vonmises => ("vonmises", 2),
            Real::Pareto => ("pareto", 1),
            Real::Weibull => ("weibull", 1),
            Real::Power => ("power", 1),
            Real::Laplace => ("laplace", 2),
            Real::Gumbel => ("gumbel", 2),
            Real::Logistic => ("logistic", 2),
            Real::Lognormal => ("lognormal", 2),
            Real::Rayleigh => ("rayleigh", 1),
            Real::Wald => ("wald", 2),
            Real::Triangular => ("triangular", 3),
        }
    }

    /// A number. Parameters out of range give NaN: callers look at them before.
    #[inline]
    pub(crate) fn sample(self, parameters: &[f64], draws: &mut Draws) -> f64 {
        let p = |index: usize| parameters[index];
        match self {
            Real::Random => draws.unit(),
            Real::Uniform => p(0) + (p(1) - p(0)) * draws.unit(),
            Real::StandardNormal => normal(draws),
            Real::Normal => p(0) + p(1) * normal(draws),
            Real::StandardExponential => exponential(draws),
            Real::Exponential => p(0) * exponential(draws),
            Real::StandardGamma => gamma(p(0), draws),
            Real::Gamma => p(1) * gamma(p(0), draws),
            Real::Beta => beta(p(0), p(1), draws),
            Real::Chisquare => chi_squared(p(0), draws),
            Real::NoncentralChisquare => noncentral_chi_squared(p(0), p(1), draws),
            Real::F => (chi_squared(p(0), draws) * p(1)) / (chi_squared(p(1), draws) * p(0)),
            Real::NoncentralF => noncentral_chi_squared(p(0), p(2), draws) * p(1) / (chi_squared(p(1), draws) * p(0)),
            Real::StandardCauchy => normal(draws) / normal(draws),
            Real::StandardT => normal(draws) * (p(0) / chi_squared(p(0), draws)).sqrt(),
            Real::Vonmises => von_mises(p(0), p(1), draws),
            Real::Pareto => (exponential(draws) / p(0)).exp_m1(),
            Real::Weibull if p(0) == 0.0 => 0.0,
            Real::Weibull => exponential(draws).powf(1.0 / p(0)),
            Real::Power => (-(-exponential(draws)).exp_m1()).powf(1.0 / p(0)),
            Real::Laplace => p(0) + p(1) * laplace(draws.open_unit()),
            Real::Gumbel => p(0) - p(1) * (-draws.open_unit().ln()).ln(),
            Real::Logistic => {
                let unit = draws.open_unit();
                p(0) + p(1) * (unit / (1.0 - unit)).ln()
            }
            Real::Lognormal => (p(0) + p(1) * normal(draws)).exp(),
            Real::Rayleigh => p(0) * (2.0 * exponential(draws)).sqrt(),
            Real::Wald => InverseGaussian::new(p(0), p(1)).map_or(f64::NAN, |wald| wald.sample(draws)),
            Real::Triangular => triangular(p(0), p(1), p(2), draws.unit()),
        }
    }
}

#[inline]
pub(crate) fn normal(draws: &mut Draws) -> f64 {
    StandardNormal.sample(draws)
}

#[inline]
fn exponential(draws: &mut Draws) -> f64 {
    Exp1.sample(draws)
}

/// A number of the gamma distribution with scale 1.
#[inline]
pub(crate) fn gamma(shape: f64, draws: &mut Draws) -> f64 {
    if shape == 0.0 {
        return 0.0;
    }
    Gamma::new(shape, 1.0).map_or(f64::NAN, |gamma| gamma.sample(draws))
}

pub(crate) fn beta(a: f64, b: f64, draws: &mut Draws) -> f64 {
    Beta::new(a, b).map_or(f64::NAN, |beta| beta.sample(draws))
}

fn chi_squared(degrees: f64, draws: &mut Draws) -> f64 {
    2.0 * gamma(degrees / 2.0, draws)
}

fn noncentral_chi_squared(degrees: f64, noncentrality: f64, draws: &mut Draws) -> f64 {
    if noncentrality == 0.0 {
        return chi_squared(degrees, draws);
    }
    if degrees > 1.0 {
        let shifted = normal(draws) + noncentrality.sqrt();
        return chi_squared(degrees - 1.0, draws) + shifted * shifted;
    }
    let extra: f64 = Poisson::new(noncentrality / 2.0).map_or(f64::NAN, |poisson| poisson.sample(draws));
    chi_squared(degrees + 2.0 * extra, draws)
}

fn laplace(unit: f64) -> f64 {
    if unit < 0.5 { (2.0 * unit).ln() } else { -(2.0 * (1.0 - unit)).ln() }
}

fn triangular(left: f64, mode: f64, right: f64, unit: f64) -> f64 {
    let (base, below) = (right - left, mode - left);
    let share = below / base;
    if unit <= share {
        left + (unit * base * below).sqrt()
    } else {
        right - ((1.0 - unit) * base * (right - mode)).sqrt()
    }
}

/// Source: Best and Fisher, "Efficient simulation of the von Mises distribution" (1979).
fn von_mises(mean: f64, concentration: f64, draws: &mut Draws) -> f64 {
    if concentration.is_nan() {
        return f64::NAN;
    }
    if concentration < 1e-8 {
        return wrapped(PI * (2.0 * draws.unit() - 1.0) + mean);
    }
    if concentration > 1e6 {
        // So narrow that it is the normal distribution to within rounding.
        return wrapped(mean + normal(draws) / concentration.sqrt());
    }
    let tau = 1.0 + (1.0 + 4.0 * concentration * concentration).sqrt();
    let rho = (tau - (2.0 * tau).sqrt()) / (2.0 * concentration);
    let ratio = (1.0 + rho * rho) / (2.0 * rho);
    loop {
        let z = (PI * draws.unit()).cos();
        let cosine = (1.0 + ratio * z) / (ratio + z);
        let c = concentration * (ratio - cosine);
        let unit = draws.open_unit();
        if c * (2.0 - c) - unit > 0.0 || (c / unit).ln() + 1.0 - c >= 0.0 {
            let angle = cosine.clamp(-1.0, 1.0).acos();
            return wrapped(mean + if draws.unit() < 0.5 { -angle } else { angle });
        }
    }
}

/// The same direction in [−π, π].
fn wrapped(angle: f64) -> f64 {
    if angle.abs() <= PI { angle } else { (angle + PI).rem_euclid(2.0 * PI) - PI }
}

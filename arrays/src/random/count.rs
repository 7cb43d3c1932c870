//! Distributions of whole numbers: one number from the words of one element.

use super::philox::Draws;
use super::real::gamma;
use rand_distr::{Binomial, Distribution, Exp1, Hypergeometric, Poisson, Zeta};

/// A distribution of whole numbers; parameters are NumPy's, in NumPy's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are NumPy's")]
pub enum Count {
    Binomial,
    NegativeBinomial,
    Poisson,
    Zipf,
    Geometric,
    Hypergeometric,
    Logseries,
}

impl Count {
    /// All of them.
    pub const ALL: [Count; 7] = [
        Count::Binomial,
        Count::NegativeBinomial,
        Count::Poisson,
        Count::Zipf,
        Count::Geometric,
        Count::Hypergeometric,
        Count::Logseries,
    ];

    /// NumPy's name and the number of parameters.
    pub fn name(self) -> (&'static str, usize) {
        match self {
            Count::Binomial => ("binomial", 2),
            Count::NegativeBinomial => ("negative_binomial", 2),
            Count::Poisson => ("poisson", 1),
            Count::Zipf => ("zipf", 1),
            Count::Geometric => ("geometric", 1),
            Count::Hypergeometric => ("hypergeometric", 3),
            Count::Logseries => ("logseries", 1),
        }
    }

    /// A number. Parameters out of range give the smallest integer: callers look at them before.
    #[inline]
    pub(crate) fn sample(self, parameters: &[f64], draws: &mut Draws) -> i64 {
        let p = |index: usize| parameters[index];
        match self {
            Count::Binomial => binomial(p(0) as u64, p(1), draws),
            Count::NegativeBinomial => poisson(gamma(p(0), draws) * (1.0 - p(1)) / p(1), draws),
            Count::Poisson => poisson(p(0), draws),
            Count::Zipf => Zeta::new(p(0)).map_or(i64::MIN, |zeta| whole(zeta.sample(draws))),
            Count::Geometric if p(0) == 1.0 => 1,
            Count::Geometric => {
                let waited: f64 = Exp1.sample(draws);
                whole((-waited / (-p(0)).ln_1p()).ceil().max(1.0))
            }
            Count::Hypergeometric => hypergeometric(p(0) as u64, p(1) as u64, p(2) as u64, draws),
            Count::Logseries => logseries(p(0), draws),
        }
    }
}

pub(crate) fn binomial(trials: u64, probability: f64, draws: &mut Draws) -> i64 {
    Binomial::new(trials, probability).map_or(i64::MIN, |binomial| binomial.sample(draws) as i64)
}

/// How many of `sample` things, drawn without return, are among the good ones.
pub(crate) fn hypergeometric(good: u64, bad: u64, sample: u64, draws: &mut Draws) -> i64 {
    if good == 0 || sample == 0 {
        return 0;
    }
    if bad == 0 {
        return sample as i64;
    }
    Hypergeometric::new(good + bad, good, sample).map_or(i64::MIN, |drawn| drawn.sample(draws) as i64)
}

fn poisson(mean: f64, draws: &mut Draws) -> i64 {
    if mean == 0.0 {
        return 0;
    }
    Poisson::new(mean).map_or(i64::MIN, |poisson| whole(poisson.sample(draws)))
}

/// Numbers that 64 bits do not hold become the largest that they do.
fn whole(value: f64) -> i64 {
    value as i64
}

/// Source: Kemp, "Efficient generation of logarithmically distributed pseudo-random variables" (1981), algorithm LS
/// with its second uniform number.
fn logseries(probability: f64, draws: &mut Draws) -> i64 {
    if probability == 0.0 {
        return 1;
    }
    let rate = (-probability).ln_1p();
    loop {
        let v = draws.open_unit();
        if v >= probability {
            return 1;
        }
        let q = -(rate * draws.open_unit()).exp_m1();
        if v <= q * q {
            let found = (1.0 + v.ln() / q.ln()).floor();
            if found >= 1.0 {
                return whole(found);
            }
            continue;
        }
        return if v >= q { 1 } else { 2 };
    }
}

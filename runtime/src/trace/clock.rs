//! The time of events, and how the clocks of ranks are brought together.
//!
//! A rank's clock is the system's time at its first use, carried on by the monotonic clock. Between two ranks it may be
//! wrong by as much as their nodes' clocks; exchanges of readings bound the difference, since nothing is read before
//! it was sent.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The first use of the clock, by the monotonic clock and in nanoseconds by the system's.
static START: OnceLock<(Instant, u64)> = OnceLock::new();

fn start() -> &'static (Instant, u64) {
    START.get_or_init(|| {
        // Of several pairs of readings the closest.
        let pair = || {
            let (before, system, after) = (Instant::now(), SystemTime::now(), Instant::now());
            (after - before, before, system)
        };
        let (_, instant, system) = (0..16).map(|_| pair()).min_by_key(|pair| pair.0).expect("sixteen pairs");
        (instant, system.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64))
    })
}

/// Nanoseconds since this process first asked.
#[inline]
pub fn now() -> u64 {
    start().0.elapsed().as_nanos() as u64
}

/// A time of [`now`] as nanoseconds of the system's clock.
pub(super) fn system_time(local: u64) -> u64 {
    start().1 + local
}

/// A rank's readings of its clock around some exchanges, in nanoseconds of the system's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Before each exchange, sent in it.
    pub sent: Vec<u64>,
    /// After it.
    pub heard: Vec<u64>,
}

impl Exchange {
    /// The clock as it is sent.
    pub fn reading() -> u64 {
        system_time(now())
    }
}

/// What brings a rank's times to those of rank 0, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Clock {
    /// When the offsets were found, by this rank's own system clock.
    at: [u64; 2],
    /// What is added to this rank's times then.
    offset: [f64; 2],
    /// The greatest error of an offset.
    pub error: f64,
}

impl Clock {
    /// From exchanges at the begin and at the end: this rank's and rank 0's. `near`: both ranks share one clock.
    pub fn between(mine: [&Exchange; 2], first: [&Exchange; 2], near: bool) -> Clock {
        let mut clock = Clock::default();
        for side in 0..2 {
            let (offset, error) = offset_of(mine[side], first[side], near);
            clock.at[side] = mine[side].heard.last().copied().unwrap_or(0);
            clock.offset[side] = offset;
            clock.error = clock.error.max(error);
        }
        clock
    }

    /// A time of [`now`] on this rank as nanoseconds of rank 0's system clock since `origin`.
    pub(super) fn place(&self, local: u64, origin: u64) -> f64 {
        let system = system_time(local);
        let [begin, end] = self.at;
        let share = system.clamp(begin, end.max(begin)) - begin;
        let share = if end > begin { share as f64 / (end - begin) as f64 } else { 0.0 };
        let offset = self.offset[0] + share * (self.offset[1] - self.offset[0]);
        // The difference first: a float holds it to the nanosecond.
        (system as i128 - i128::from(origin)) as f64 + offset
    }

    /// What is added to this rank's times at the begin.
    pub(super) fn offset(&self) -> f64 {
        self.offset[0]
    }
}

/// What to add to `mine`, and how wrong that may be: what was heard was sent before.
fn offset_of(mine: &Exchange, first: &Exchange, near: bool) -> (f64, f64) {
    let differences = |later: &[u64], earlier: &[u64]| -> Vec<i64> {
        later.iter().zip(earlier).map(|(&later, &earlier)| later as i64 - earlier as i64).collect()
    };
    // heard here + offset ≥ sent there, and heard there ≥ sent here + offset.
    let least = differences(&first.sent, &mine.heard).into_iter().max();
    let most = differences(&first.heard, &mine.sent).into_iter().min();
    let (Some(least), Some(most)) = (least, most) else { return (0.0, 0.0) };
    let (least, most) = (least as f64, most as f64);
    // One clock for both needs no correction, unless it was set back in the meantime.
    let middle = if near && least <= 0.0 && most >= 0.0 { 0.0 } else { (least + most) / 2.0 };
    (middle, if middle == 0.0 && near { 0.0 } else { (most - least) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(sent: &[u64], heard: &[u64]) -> Exchange {
        Exchange { sent: sent.to_vec(), heard: heard.to_vec() }
    }

    /// Rank 0 sends at 1000 and 2000; a message takes 10 to 30; this rank's clock is `behind` behind.
    #[track_caller]
    fn check(behind: u64, near: bool, offset: f64, error: f64) {
        let first = exchange(&[1000, 2000], &[1030, 2020]);
        let mine = exchange(&[1005 - behind, 2000 - behind], &[1030 - behind, 2010 - behind]);
        assert_eq!(offset_of(&mine, &first, near), (offset, error));
    }

    #[test]
    fn an_offset_lies_between_what_was_sent_and_heard() {
        // At least 1000 - 1030 = -30 and 2000 - 2010 = -10, at most 1030 - 1005 = 25 and 20.
        check(0, false, 5.0, 15.0);
        check(500, false, 505.0, 15.0);
    }

    #[test]
    fn one_clock_is_not_corrected_unless_it_was_set() {
        check(0, true, 0.0, 0.0);
        check(500, true, 505.0, 15.0);
    }

    #[test]
    fn drift_is_spread_over_the_time_between() {
        let system = system_time(0);
        let clock = Clock { at: [system + 1000, system + 2000], offset: [0.0, 100.0], error: 0.0 };
        let found = [0, 1000, 1500, 2000, 3000].map(|time| clock.place(time, system));
        assert_eq!(found, [0.0, 1000.0, 1550.0, 2100.0, 3100.0]);
    }

    #[test]
    fn no_exchange_is_no_correction() {
        let nothing = Exchange::default();
        assert_eq!(Clock::between([&nothing; 2], [&nothing; 2], false), Clock::default());
    }
}

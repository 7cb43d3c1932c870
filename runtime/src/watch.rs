//! Speaks up when a rank has waited long and nothing moved.
//!
//! It has no thread of its own: whoever waits wakes now and then and asks it. Nothing is asked while waits are short.
//! Never here: what is waited for.

use crate::ids::Rank;
use std::time::{Duration, Instant};

/// One wait.
pub(crate) struct Vigil {
    /// How long nothing may move before the first word; none for never.
    silence: Option<Duration>,
    /// Since when nothing moved, and how far things had come then.
    since: Option<(Instant, u64)>,
    /// How long nothing must have moved for the next word.
    next: Duration,
}

/// What a waiting rank says of itself.
pub(crate) struct Report<'a> {
    pub(crate) rank: Rank,
    pub(crate) waited: Duration,
    /// What the rank is doing, with the number of the step.
    pub(crate) what: &'a str,
    pub(crate) step: u64,
    /// What is incomplete.
    pub(crate) open: &'a str,
    /// What was completed last, and how long ago that was.
    pub(crate) last: Option<(&'a str, Duration)>,
    /// Where the other ranks of the node are, in words.
    pub(crate) others: String,
}

/// What another rank has written of itself.
pub(crate) struct Other<'a> {
    pub(crate) rank: Rank,
    /// The step that it is in, or was in last.
    pub(crate) step: u64,
    pub(crate) inside: bool,
    pub(crate) what: &'a str,
    /// How long ago it began or ended the step.
    pub(crate) age: Duration,
}

/// So many other ranks are named, those that have come least far.
const NAMED_MAX: usize = 8;

/// Where other ranks are, who is behind first.
pub(crate) fn whereabouts<'a>(others: impl Iterator<Item = Other<'a>>) -> String {
    let mut others: Vec<Other<'_>> = others.collect();
    others.sort_by_key(|other| (other.step, other.inside, other.rank));
    let more = others.len().saturating_sub(NAMED_MAX);
    let named = others.iter().take(NAMED_MAX).map(|Other { rank, step, inside, what, age }| {
        let age = age.as_secs_f64();
        if *inside {
            format!("; {rank} has been in step {step}, `{what}`, for {age:.0} s")
        } else {
            format!("; {rank} has been outside of girih for {age:.0} s, since step {step}, `{what}`")
        }
    });
    let mut text: String = named.collect();
    if more > 0 {
        text += &format!("; {more} more ranks of the node have come further");
    }
    text
}

impl Vigil {
    pub(crate) fn new(silence: Option<Duration>) -> Vigil {
        Vigil { silence, since: None, next: Duration::ZERO }
    }

    /// How long nothing has moved, if it is time to say so: after the silence, and at each doubling of it.
    ///
    /// `progress` changes whenever something moves.
    pub(crate) fn due(&mut self, now: Instant, progress: u64) -> Option<Duration> {
        let silence = self.silence?;
        let Some((since, _)) = self.since.filter(|&(_, before)| before == progress) else {
            self.since = Some((now, progress));
            self.next = silence;
            return None;
        };
        let waited = now - since;
        if waited < self.next {
            return None;
        }
        while self.next <= waited {
            self.next *= 2;
        }
        Some(waited)
    }
}

impl Report<'_> {
    /// Writes one line for the user, who may be looking for the reason of a hang.
    #[allow(clippy::print_stderr, reason = "nobody else is awake to tell the user")]
    pub(crate) fn print(&self) {
        eprintln!("{}", self.text());
    }

    fn text(&self) -> String {
        let Report { rank, waited, what, step, open, last, others } = self;
        let last =
            last.map_or("nothing yet".to_string(), |(text, age)| format!("`{text}` {:.0} s ago", age.as_secs_f64()));
        let waited = waited.as_secs_f64();
        format!(
            "girih: {rank} has waited {waited:.0} s in step {step}, `{what}`: {open}; last completed: {last}{others}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_speaks_after_the_silence_and_at_each_doubling() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut vigil = Vigil::new(Some(2 * second));
        let spoken: Vec<u32> = (0..20).filter(|&at| vigil.due(start + at * second, 5).is_some()).collect();
        assert_eq!(spoken, [2, 4, 8, 16]);
        assert_eq!(vigil.due(start + 21 * second, 4), None);
        assert_eq!(vigil.due(start + 23 * second, 4), Some(2 * second));
    }

    #[test]
    fn it_is_silent_while_things_move_and_when_it_is_off() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let (mut vigil, mut off) = (Vigil::new(Some(2 * second)), Vigil::new(None));
        assert!((0..20).all(|at| vigil.due(start + at * second, u64::from(at)).is_none()));
        assert!((0..20).all(|at| off.due(start + at * second, 0).is_none()));
    }

    #[test]
    fn who_is_behind_is_named_first() {
        let second = Duration::from_secs(1);
        let other = |rank, step, inside, age| Other { rank: Rank(rank), step, inside, what: "sum", age: age * second };
        let text = whereabouts([other(1, 7, true, 3), other(2, 6, false, 9)].into_iter());
        let expected = "; rank 2 has been outside of girih for 9 s, since step 6, `sum`; \
                        rank 1 has been in step 7, `sum`, for 3 s";
        assert_eq!(text, expected);
        let many = whereabouts((0..11).map(|rank| other(rank, 1, true, 1)));
        assert!(many.ends_with("; 3 more ranks of the node have come further"), "{many}");
    }
}

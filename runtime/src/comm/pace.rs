//! How the comm thread waits: how often it looks before it naps, by what waiting came to of late, and for how long.
//!
//! A message that answers within microseconds is worth a core meanwhile; one that takes milliseconds on a wire is not,
//! for on a seat that it shares every look takes time from a worker. So looks in a row become fewer where they came to
//! nothing, and more where something moved soon. Naps begin short, for a message of many rounds would wait for the end
//! of one in each, and grow with the wait.
//! Never here: what is looked at.

use std::time::Duration;

/// Looks in a row before a thread yields between them.
const SPINS: u32 = 100;
/// Before that nobody naps, where the core is wanted by nobody else: other ranks are seldom later than this, and each
/// round of an operation would wait for the end of a nap.
const PATIENCE: Duration = Duration::from_millis(1);
/// Shorter naps cost as much processor time as spinning.
const NAP: Duration = Duration::from_micros(50);
/// After so many naps they are twice as long, then three times, and so on: a long wait is polled for seldom.
const NAPS_ALIKE: u32 = 32;
/// The longest nap of a long wait.
const NAP_MAX: Duration = Duration::from_millis(4);
/// How many more looks a wait gets that was short, and how many more would have made one so.
const MORE: u32 = 10;

/// What to do until the next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    Spin,
    Yield,
    Nap(Duration),
}

/// The state of one wait after another.
#[derive(Debug)]
pub(super) struct Pace {
    /// Looks of this wait that found nothing, and naps.
    empty: u32,
    naps: u32,
    /// Others want the core.
    gives_way: bool,
    /// Something has moved since it was idle: what has moved moves on soon, and a core given away may come back late.
    eager: bool,
    /// Of the looks in a row on a seat that is shared, as many as were worth it of late.
    looks: u32,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace { empty: 0, naps: 0, gives_way: false, eager: false, looks: SPINS }
    }

    /// Something moved; on a seat of its `own` or a shared one.
    pub(super) fn moved(&mut self, own: bool) {
        let soon = self.empty <= self.spins(own) + MORE;
        self.looks = if soon { (self.looks + MORE).min(SPINS) } else { self.looks / 2 };
        self.others_look();
        self.eager = true;
    }

    /// Nothing is to be done.
    pub(super) fn idle(&mut self) {
        self.others_look();
        self.eager = false;
    }

    /// Somebody else looks.
    pub(super) fn others_look(&mut self) {
        (self.empty, self.naps, self.gives_way) = (0, 0, false);
    }

    /// Others want the core: naps follow.
    pub(super) fn give_way(&mut self) {
        self.gives_way = true;
    }

    /// A look found nothing, so long after the wait began: what comes before the next.
    pub(super) fn pause(&mut self, waits: Duration, own: bool) -> Pause {
        self.empty = self.empty.saturating_add(1);
        if self.empty <= self.spins(own) {
            return Pause::Spin;
        }
        if !self.gives_way && waits < PATIENCE {
            return Pause::Yield;
        }
        let nap = NAP * (1 + self.naps / NAPS_ALIKE);
        self.naps = self.naps.saturating_add(1);
        Pause::Nap(nap.min(NAP_MAX))
    }

    fn spins(&self, own: bool) -> u32 {
        match own {
            true => SPINS,
            false if self.eager => self.looks,
            false => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for so many looks, where others want the core from the first yield on; how many were spins.
    fn wait(pace: &mut Pace, looks: usize, own: bool) -> usize {
        let mut spins = 0;
        for _ in 0..looks {
            match pace.pause(Duration::ZERO, own) {
                Pause::Spin => spins += 1,
                Pause::Yield => pace.give_way(),
                Pause::Nap(_) => {}
            }
        }
        pace.moved(own);
        spins
    }

    #[track_caller]
    fn check(looks: usize, own: bool, spins: usize) {
        let mut pace = Pace::new();
        let waits: Vec<usize> = (0..20).map(|_| wait(&mut pace, looks, own)).collect();
        assert_eq!(waits.last(), Some(&spins), "{waits:?}");
    }

    #[test]
    fn who_is_answered_soon_keeps_its_core_and_who_waits_long_gives_it_away() {
        check(50, false, 50);
        check(400, false, 0);
        // A seat of its own is nobody else's.
        check(400, true, 100);
    }

    #[test]
    fn looks_that_were_given_up_come_back() {
        let mut pace = Pace::new();
        (0..10).for_each(|_| _ = wait(&mut pace, 400, false));
        assert_eq!(wait(&mut pace, 3, false), 0);
        (0..20).for_each(|_| _ = wait(&mut pace, 3, false));
        assert_eq!(wait(&mut pace, 3, false), 3);
    }

    #[test]
    fn who_disturbs_nobody_does_not_nap_at_once() {
        let mut pace = Pace::new();
        let pauses = [0, 500, 999, 1000].map(|micros| pace.pause(Duration::from_micros(micros), false));
        assert_eq!(pauses, [Pause::Yield, Pause::Yield, Pause::Yield, Pause::Nap(NAP)]);
    }

    #[test]
    fn naps_grow_with_the_wait() {
        let mut pace = Pace::new();
        let naps: Vec<Pause> = (0..4000).map(|_| pace.pause(PATIENCE, false)).collect();
        assert_eq!([naps[0], naps[31], naps[32], naps[3999]], [NAP, NAP, 2 * NAP, NAP_MAX].map(Pause::Nap));
    }
}

//! Large all-reduces over MPI: messages in panels, each combined and sent on while the next is on its way.
//!
//! Every rank owns a segment of the words. The others send it theirs, panel by panel; a panel to which all have given
//! is complete and goes to all. So a rank sends 2·(1 − 1/P) of the bytes, in both directions at once, and no panel
//! waits for another: MPI's own non-blocking all-reduces send more, or one direction after the other.
//! Invariant: to one rank, contributions and results go in the order of panels, each kind with a tag of its own, and
//! are received in that order. A panel of another's segment is received only when this rank's share of it has left.

#![allow(unsafe_code, reason = "MPI holds addresses of blocks until their request completes")]

use super::{Buffers, MpiTransport, Part, Rest};
use crate::comm::collective::Reduction;
use crate::comm::transport::{Ticket, Transport};
use crate::error::Result;
use crate::ids::{Rank, Tag};
use crate::memory::WriteGuard;
use crate::mpi::Lane;
use std::ops::Range;

/// Long enough to keep a wire busy, short enough to lie in a cache while it is combined.
pub(super) const PANEL_BYTES: usize = 256 << 10;
/// Below it the messages cost more than their bytes, and MPI's own all-reduce needs fewer.
const SEGMENT_BYTES_MIN: usize = 16 << 10;
/// Contributions that are on their way to this rank, or from it, at once.
const WINDOW: usize = 8;
const WORD: usize = size_of::<i64>();

/// What a completed request means beyond the end of its operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// Nothing more.
    Plain,
    /// A packet of short messages has come.
    Packet { from: Rank },
    /// This rank's share of a panel has left for its owner.
    Given { owner: usize, panel: usize },
    /// A share of this rank's panel has come, and lies in a slot.
    Taken { slot: usize, panel: usize },
}

/// An all-reduce under way.
#[derive(Debug)]
pub(super) struct Panels {
    reduction: Reduction,
    data: *mut i64,
    /// Where each rank's segment begins, and where the last ends.
    cuts: Vec<usize>,
    panel_words: usize,
    contributions: Tag,
    results: Tag,
    /// Shares to send and to receive that are not posted: panel by panel, and within one by distance.
    to_give: std::vec::IntoIter<(usize, usize)>,
    to_take: std::vec::IntoIter<(usize, usize)>,
    giving: usize,
    /// Room for shares, of one panel each, in the buffers of the operation.
    slots: Vec<*mut i64>,
    free: Vec<usize>,
    /// Shares that are missing of each of this rank's panels, and the first panel that was not sent to all.
    missing: Vec<usize>,
    next_result: usize,
    /// Of each other rank's panels: whether this rank's share has left, and the first that is not being received.
    given: Vec<Vec<bool>>,
    next_receive: Vec<usize>,
    /// Requests that are not posted.
    left: usize,
}

// SAFETY: the addresses lie in the buffers that the operation owns beside this, and go wherever it goes.
unsafe impl Send for Panels {}

impl Panels {
    fn panels(&self, owner: usize) -> usize {
        (self.cuts[owner + 1] - self.cuts[owner]).div_ceil(self.panel_words)
    }

    /// The words of a panel.
    fn words(&self, owner: usize, panel: usize) -> Range<usize> {
        let start = self.cuts[owner] + panel * self.panel_words;
        start..(start + self.panel_words).min(self.cuts[owner + 1])
    }
}

impl MpiTransport {
    /// Whether an all-reduce goes in panels; alike on all ranks.
    pub(super) fn goes_in_panels(&self, bytes: usize) -> bool {
        self.size() > 1 && (bytes >= SEGMENT_BYTES_MIN * self.size() || bytes > self.call_bytes_max)
    }

    pub(super) fn post_panels(&mut self, ticket: Ticket, reduction: Reduction, mut data: WriteGuard) -> Result<()> {
        let (here, size) = (self.rank().index(), self.size());
        let words = data.of::<i64>().len();
        let cuts: Vec<usize> = (0..=size).map(|rank| words * rank / size).collect();
        let panel_words = PANEL_BYTES.min(self.call_bytes_max) / WORD;
        let (contributions, results) = (self.tag_of_exchange(), self.tag_of_exchange());
        let room = panel_words.min(words.div_ceil(size));
        let mut slots = std::mem::take(&mut self.slots);
        slots.resize(WINDOW, Vec::new());
        slots.iter_mut().filter(|slot| slot.len() < room).for_each(|slot| slot.resize(room, 0));
        let mut plan = Panels {
            reduction,
            data: data.of_mut().as_mut_ptr(),
            cuts,
            panel_words,
            contributions,
            results,
            to_give: Vec::new().into_iter(),
            to_take: Vec::new().into_iter(),
            giving: 0,
            slots: slots.iter_mut().map(|slot| slot.as_mut_ptr()).collect(),
            free: (0..WINDOW).collect(),
            missing: Vec::new(),
            next_result: 0,
            given: Vec::new(),
            next_receive: vec![0; size],
            left: 0,
        };
        plan.given = (0..size).map(|owner| vec![false; plan.panels(owner)]).collect();
        plan.missing = vec![size - 1; plan.panels(here)];
        let most = (0..size).map(|owner| plan.panels(owner)).max().unwrap_or(0);
        let pairs = |rank: &dyn Fn(usize) -> usize, panels: &dyn Fn(usize) -> usize| {
            let of_panel =
                |panel| (1..size).map(rank).filter(move |&rank| panel < panels(rank)).map(move |rank| (panel, rank));
            (0..most).flat_map(of_panel).collect::<Vec<_>>()
        };
        let to_give = pairs(&|distance| (here + distance) % size, &|owner| plan.panels(owner));
        let to_take = pairs(&|distance| (here + size - distance) % size, &|_| plan.panels(here));
        plan.left = 2 * (to_give.len() + to_take.len());
        (plan.to_give, plan.to_take) = (to_give.into_iter(), to_take.into_iter());
        let operation = self.enter(ticket, Buffers { written: Some(data), slots, ..Buffers::default() });
        self.operation(operation).rest = Some(Rest::Panels(Box::new(plan)));
        self.advance_panels(operation, Role::Plain)?;
        self.settle_posted(operation);
        Ok(())
    }

    /// Goes on with an all-reduce of which a request has completed.
    pub(super) fn advance_panels(&mut self, operation: usize, role: Role) -> Result<()> {
        let Some(Rest::Panels(mut plan)) = self.operation(operation).rest.take() else { return Ok(()) };
        let here = self.rank().index();
        match role {
            Role::Plain | Role::Packet { .. } => {}
            Role::Given { owner, panel } => {
                plan.giving -= 1;
                plan.given[owner][panel] = true;
            }
            Role::Taken { slot, panel } => {
                let words = plan.words(here, panel);
                // SAFETY: the share has come, so MPI is done with the slot, and nobody else has its address.
                let share = unsafe { std::slice::from_raw_parts(plan.slots[slot], words.len()) };
                // SAFETY: a panel of this rank's own segment, which MPI neither reads nor writes before all shares of
                // it have come, and nobody else while the collective is open.
                let sum = unsafe { std::slice::from_raw_parts_mut(plan.data.add(words.start), words.len()) };
                combine(plan.reduction, sum, share);
                plan.missing[panel] -= 1;
                plan.free.push(slot);
            }
        }
        self.post_ready(operation, &mut plan)?;
        if plan.left > 0 {
            self.operation(operation).rest = Some(Rest::Panels(plan));
        }
        Ok(())
    }

    /// Posts whatever may be posted.
    fn post_ready(&mut self, operation: usize, plan: &mut Panels) -> Result<()> {
        let here = self.rank().index();
        while let Some(&slot) = plan.free.last()
            && let Some((panel, from)) = plan.to_take.next()
        {
            plan.free.pop();
            let (room, words) = (plan.slots[slot], plan.words(here, panel).len());
            self.panel_receive(operation, plan.contributions, from, room, words, Role::Taken { slot, panel })?;
            plan.left -= 1;
        }
        while plan.giving < WINDOW
            && let Some((panel, owner)) = plan.to_give.next()
        {
            plan.giving += 1;
            let words = plan.words(owner, panel);
            // SAFETY: the words lie in the block.
            let start = unsafe { plan.data.add(words.start) };
            self.panel_send(operation, plan.contributions, owner, start, words.len(), Role::Given { owner, panel })?;
            plan.left -= 1;
        }
        while plan.missing.get(plan.next_result) == Some(&0) {
            let words = plan.words(here, plan.next_result);
            plan.next_result += 1;
            // SAFETY: the words lie in the block.
            let start = unsafe { plan.data.add(words.start) };
            for distance in 1..self.size() {
                let to = (here + distance) % self.size();
                self.panel_send(operation, plan.results, to, start, words.len(), Role::Plain)?;
                plan.left -= 1;
            }
        }
        for owner in 0..self.size() {
            while plan.given[owner].get(plan.next_receive[owner]) == Some(&true) {
                let words = plan.words(owner, plan.next_receive[owner]);
                plan.next_receive[owner] += 1;
                // SAFETY: the words lie in the block.
                let start = unsafe { plan.data.add(words.start) };
                self.panel_receive(operation, plan.results, owner, start, words.len(), Role::Plain)?;
                plan.left -= 1;
            }
        }
        Ok(())
    }

    fn panel_send(
        &mut self,
        operation: usize,
        tag: Tag,
        to: usize,
        start: *const i64,
        words: usize,
        role: Role,
    ) -> Result<()> {
        let to = Rank::from(to);
        // SAFETY: the words lie in the block that the operation keeps, and nobody writes them until the request is
        // complete: results are final, and a share's result is received only after it has left.
        let request = unsafe { self.session().send(Lane::Collectives, start.cast(), WORD * words, to, tag) };
        self.add(request, Part { peer: Some(to), role, ..Part::of(operation, "MPI_Isend") })
    }

    fn panel_receive(
        &mut self,
        operation: usize,
        tag: Tag,
        from: usize,
        room: *mut i64,
        words: usize,
        role: Role,
    ) -> Result<()> {
        let (from, bytes) = (Rank::from(from), WORD * words);
        // SAFETY: the words lie in the block that the operation keeps, or in a slot that is free and does not move;
        // nobody touches them until the request is complete.
        let request = unsafe { self.session().receive(Lane::Collectives, room.cast(), bytes, from, tag) };
        let part = Part { peer: Some(from), role, bytes_expected: Some(bytes), ..Part::of(operation, "MPI_Irecv") };
        self.add(request, part)
    }
}

/// Combines words one by one; a loop for each operation, so that each is one of vectors.
fn combine(reduction: Reduction, sum: &mut [i64], words: &[i64]) {
    let pairs = sum.iter_mut().zip(words);
    match reduction {
        Reduction::SumI64 => pairs.for_each(|(sum, &word)| *sum = sum.wrapping_add(word)),
        Reduction::MaxI64 => pairs.for_each(|(sum, &word)| *sum = (*sum).max(word)),
        Reduction::MinI64 => pairs.for_each(|(sum, &word)| *sum = (*sum).min(word)),
    }
}

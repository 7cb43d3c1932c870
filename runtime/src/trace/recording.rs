//! All that one rank recorded in a session, and what follows from it: messages, and what each node waited for.

use super::Who;
use super::clock::system_time;
use super::plan::Launches;
use super::text::{Stage, Text};
use super::track::{Entry, Kept, Kind};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// All that one rank recorded in a session.
#[derive(Debug)]
pub struct Recording {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) tracks: Vec<Track>,
    pub(super) launches: Launches,
    pub(super) texts: Vec<String>,
    pub(super) messages: Vec<Message>,
    /// For each launch, by node: the node before it that ended last.
    after: HashMap<u32, Vec<Option<u32>>>,
}

/// One thread's entries.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) who: Who,
    pub(super) dropped: u64,
    pub(super) entries: Vec<Entry>,
}

/// A message or a collective, from when it could be posted to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) launch: u32,
    pub(super) node: u32,
    pub(super) begin: u64,
    pub(super) end: u64,
    /// Messages of one lane do not overlap.
    pub(super) lane: u32,
}

impl Recording {
    pub(super) fn new((begin, end): (u64, u64), kept: Vec<Kept>, launches: Launches, texts: Vec<String>) -> Recording {
        let track = |kept: Kept| Track { who: kept.who, dropped: kept.dropped, entries: kept.entries() };
        let mut tracks: Vec<Track> = kept.into_iter().map(track).collect();
        tracks.sort_by_key(|track| track.who);
        let messages = lay_out(messages_of(&tracks));
        let after = after_what(&ends_of(&tracks, &messages, &launches), &launches);
        Recording { begin, end, tracks, launches, texts, messages, after }
    }

    /// When the session began, in nanoseconds of the system's clock.
    pub fn began(&self) -> u64 {
        system_time(self.begin)
    }

    /// The text of this rank's part.
    pub fn render(self, stage: Stage) -> Text {
        Text::new(self, stage)
    }

    /// The node before this one that ended last: the one that let it begin.
    pub(super) fn after(&self, launch: u32, node: u32) -> Option<u32> {
        *self.after.get(&launch)?.get(node as usize)?
    }
}

/// Messages from the notes of their begins and ends; one that was not complete in the session is left out.
fn messages_of(tracks: &[Track]) -> Vec<Message> {
    let mut posted: HashMap<(u32, u32), u64> = HashMap::new();
    let mut messages = Vec::new();
    for entry in tracks.iter().flat_map(|track| &track.entries) {
        let name = (entry.first, entry.second);
        match entry.kind {
            Kind::Posted => {
                posted.insert(name, entry.begin);
            }
            Kind::Completed => {
                if let Some(begin) = posted.remove(&name) {
                    let (launch, node) = name;
                    messages.push(Message { launch, node, begin, end: entry.begin.max(begin), lane: 0 });
                }
            }
            Kind::Task | Kind::State | Kind::Steal | Kind::Main | Kind::Process => {}
        }
    }
    messages
}

/// Puts each message on the first lane that is free.
fn lay_out(mut messages: Vec<Message>) -> Vec<Message> {
    messages.sort_by_key(|message| (message.begin, message.end));
    let mut taken: BinaryHeap<Reverse<(u64, u32)>> = BinaryHeap::new();
    let mut free: BinaryHeap<Reverse<u32>> = BinaryHeap::new();
    let mut lanes = 0;
    for message in &mut messages {
        while let Some(&Reverse((end, lane))) = taken.peek()
            && end <= message.begin
        {
            taken.pop();
            free.push(Reverse(lane));
        }
        message.lane = free.pop().map_or_else(
            || {
                lanes += 1;
                lanes - 1
            },
            |Reverse(lane)| lane,
        );
        taken.push(Reverse((message.end, message.lane)));
    }
    messages
}

/// When each node of each launch ended; 0 where that was not recorded.
fn ends_of(tracks: &[Track], messages: &[Message], launches: &Launches) -> HashMap<u32, Vec<u64>> {
    let mut ends: HashMap<u32, Vec<u64>> = HashMap::new();
    let tasks = tracks.iter().flat_map(|track| &track.entries).filter(|entry| entry.kind == Kind::Task);
    let tasks = tasks.map(|entry| (entry.first, entry.second, entry.end()));
    for (launch, node, end) in tasks.chain(messages.iter().map(|one| (one.launch, one.node, one.end))) {
        let Some(nodes) = launches.get(launch).map(|launch| launch.graph.plan.nodes.len()) else { continue };
        let of_launch = ends.entry(launch).or_insert_with(|| vec![0; nodes]);
        of_launch[node as usize] = end.max(1);
    }
    ends
}

/// For each launch, by node: the node before it that ended last.
fn after_what(ends: &HashMap<u32, Vec<u64>>, launches: &Launches) -> HashMap<u32, Vec<Option<u32>>> {
    let mut after = HashMap::new();
    for (&launch, ends) in ends {
        let graph = &launches.get(launch).expect("only known launches have ends").graph;
        let mut of_launch: Vec<Option<u32>> = vec![None; ends.len()];
        for (node, &end) in ends.iter().enumerate().filter(|&(_, &end)| end > 0) {
            for &next in graph.successors(node) {
                let best = &mut of_launch[next as usize];
                if best.is_none_or(|before| ends[before as usize] < end) {
                    *best = Some(node as u32);
                }
            }
        }
        after.insert(launch, of_launch);
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_overlap_lie_on_different_lanes() {
        let message = |begin, end| Message { launch: 1, node: 0, begin, end, lane: 9 };
        let laid = lay_out(vec![message(5, 9), message(0, 4), message(2, 6), message(4, 5), message(6, 7)]);
        let lanes: Vec<_> = laid.iter().map(|message| (message.begin, message.lane)).collect();
        assert_eq!(lanes, [(0, 0), (2, 1), (4, 0), (5, 0), (6, 1)]);
    }

    #[test]
    fn a_message_has_a_begin_and_an_end() {
        let entry = |kind, begin, second| Entry { kind, begin, duration: 0, first: 3, second };
        let notes = vec![(Kind::Posted, 10, 0), (Kind::Posted, 11, 1), (Kind::Completed, 15, 1)];
        let entries = notes.into_iter().map(|(kind, begin, node)| entry(kind, begin, node)).collect();
        let tracks = [Track { who: Who::Comm, dropped: 0, entries }];
        assert_eq!(messages_of(&tracks), [Message { launch: 3, node: 1, begin: 11, end: 15, lane: 0 }]);
    }
}

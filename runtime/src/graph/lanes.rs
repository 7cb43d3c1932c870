//! A schedule of a graph's tasks made before it runs, for tasks so short that finding the next one would cost more.
//!
//! Each lane is a sequence of tasks that one worker at a time runs in order. What the order within a lane does not
//! settle is settled by positions: a lane tells how far it has come where others wait for it, and a step waits for
//! the positions, and the messages, that nothing before it in its lane waited for.
//! Invariant 1: steps are in the order of depth, which counts the tasks of all ranks: whatever a step waits for, on
//! this rank or behind a message, has a lesser depth, so the least of all that are not done can always run.
//! Invariant 2: of two joined tasks in different lanes, the later waits for a position of the other lane at or behind
//! the earlier, itself or by a step before it in its lane.
//! The tasks of one depth and domain are cut into runs of equal number, in program order, one for each worker of the
//! domain: where a program numbers tiles alike in each step, a tile stays on its worker.
//! Never here: who runs a lane, and how it waits.

use super::build::narrow;
use super::lane::{Ended, Mark, Progress, Want};
use super::{Node, Operation, Recorded};
use crate::ids::NodeId;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crossbeam::utils::CachePadded;
use std::cmp::Reverse;
use std::ops::Range;

/// The schedule of one rank's tasks.
#[derive(Debug)]
pub struct Lanes {
    /// Those that have steps.
    lanes: Vec<CachePadded<Lane>>,
    steps: Vec<Step>,
    marks: Vec<Mark>,
    /// The messages that steps wait for.
    messages: Vec<u32>,
    /// By message, when it ended; and by node, which message it is.
    ended: Vec<Ended>,
    places: Vec<u32>,
    /// Epochs begun.
    epoch: AtomicU32,
    /// Lanes, and operations of the comm thread that nothing waits for.
    ends: u32,
}

/// One sequence of tasks, and how far it has come in this epoch.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    progress: Progress,
    steps: Range<u32>,
    /// The NUMA domain of its tasks.
    domain: u32,
}

/// A task in its lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// The task.
    pub(crate) node: NodeId,
    /// The end of its marks, which begin where those of the step before end.
    marks_end: u32,
    /// The same of its messages.
    messages_end: u32,
    /// Messages follow it.
    pub(crate) sends: bool,
    /// The next step of its depth, if there is one, sends nothing: what was sent should leave.
    pub(crate) last_to_send: bool,
    /// Other lanes wait for it.
    pub(crate) tells: bool,
}

impl Lanes {
    pub(super) fn new(graph: &Recorded, workers_by_domain: &[usize]) -> Lanes {
        let nodes = graph.nodes();
        let by_lane = order(graph, workers_by_domain);
        let mut place = vec![Mark { lane: u32::MAX, done: 0 }; nodes.len()];
        let mut lanes = Vec::new();
        let mut begin = 0;
        for (domain, tasks) in &by_lane {
            for (index, task) in tasks.iter().enumerate() {
                place[task.index()] = Mark { lane: narrow(lanes.len()), done: narrow(index + 1) };
            }
            let steps = begin..begin + narrow(tasks.len());
            begin = steps.end;
            lanes.push(CachePadded::new(Lane { steps, domain: narrow(*domain), ..Lane::default() }));
        }
        let before = predecessors(graph);
        let (places, count) = places_of_messages(graph);
        // The lane that waited for each message last.
        let mut awaited = vec![usize::MAX; count];
        let (mut steps, mut marks, mut waits) = (Vec::with_capacity(begin as usize), Vec::new(), Vec::new());
        let mut messages = Vec::new();
        for (lane, (_, tasks)) in by_lane.iter().enumerate() {
            let mut known = vec![0; lanes.len()];
            for (at, task) in tasks.iter().enumerate() {
                waits.clear();
                let others = before.of(*task).iter().map(|node| place[node.index()]);
                waits.extend(others.filter(|mark| mark.lane != u32::MAX && mark.lane as usize != lane));
                // One mark of each lane, the latest, unless an earlier step has waited for it.
                waits.sort_unstable_by_key(|mark| (mark.lane, Reverse(mark.done)));
                waits.dedup_by_key(|mark| mark.lane);
                waits.retain(|mark| mark.done > known[mark.lane as usize]);
                waits.iter().for_each(|mark| known[mark.lane as usize] = mark.done);
                marks.extend_from_slice(&waits);
                let of_task = before.of(*task).iter().map(|node| places[node.index()]).filter(|&it| it != NO_MESSAGE);
                messages.extend(of_task.filter(|&it| std::mem::replace(&mut awaited[it as usize], lane) != lane));
                let sends = graph.sends(*task);
                let depth = |node: &NodeId| nodes[node.index()].depth;
                let more = |next: &NodeId| depth(next) == depth(task) && graph.sends(*next);
                let last_to_send = sends && !tasks.get(at + 1).is_some_and(more);
                let (marks_end, messages_end) = (narrow(marks.len()), narrow(messages.len()));
                steps.push(Step { node: *task, marks_end, messages_end, sends, last_to_send, tells: false });
            }
        }
        for mark in &marks {
            steps[(lanes[mark.lane as usize].steps.start + mark.done - 1) as usize].tells = true;
        }
        let open_ends = (0..nodes.len()).filter(|&node| !nodes[node].is_task());
        let open_ends = open_ends.filter(|&node| graph.successors(NodeId(node as u32)).is_empty()).count();
        let ends = narrow(lanes.len() + open_ends);
        let ended = (0..count).map(|_| Ended::default()).collect();
        Lanes { lanes, steps, marks, messages, ended, places, epoch: AtomicU32::new(0), ends }
    }

    /// How many ends an epoch in lanes has: lanes, and operations of the comm thread that nothing waits for.
    pub(crate) fn ends(&self) -> u32 {
        self.ends
    }

    /// The lanes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().map(|lane| &**lane)
    }

    /// A lane.
    pub(crate) fn lane(&self, index: usize) -> &Lane {
        &self.lanes[index]
    }

    /// The steps of a lane.
    pub(crate) fn steps(&self, lane: &Lane) -> &[Step] {
        &self.steps[lane.steps.start as usize..lane.steps.end as usize]
    }

    /// The positions that a step waits for.
    pub(crate) fn marks(&self, lane: &Lane, index: usize) -> &[Mark] {
        let step = lane.steps.start as usize + index;
        let begin = step.checked_sub(1).map_or(0, |before| self.steps[before].marks_end);
        &self.marks[begin as usize..self.steps[step].marks_end as usize]
    }

    /// The messages that a step waits for.
    pub(crate) fn messages(&self, lane: &Lane, index: usize) -> &[u32] {
        let step = lane.steps.start as usize + index;
        let begin = step.checked_sub(1).map_or(0, |before| self.steps[before].messages_end);
        &self.messages[begin as usize..self.steps[step].messages_end as usize]
    }

    /// True if a message has ended in this epoch; then what it wrote is visible.
    pub(crate) fn has_ended(&self, message: u32) -> bool {
        self.ended[message as usize].is_told(self.epoch.load(Relaxed)) // Relaxed: came with the lane
    }

    /// Says that a message has ended in this epoch.
    pub(crate) fn tell_end(&self, message: NodeId) {
        let epoch = self.epoch.load(Relaxed); // Relaxed: the launch came before the message
        self.ended[self.places[message.index()] as usize].tell(epoch);
    }

    /// True if a position is reached; then what its steps wrote is visible.
    pub(crate) fn reached(&self, mark: Mark) -> bool {
        self.lanes[mark.lane as usize].progress.reached(mark.done)
    }

    /// Makes the lanes ready for an epoch; nothing of the graph runs.
    pub(crate) fn prepare(&self) {
        // Relaxed: the launch hands this on to the workers, and to whoever drives.
        self.epoch.fetch_add(1, Relaxed);
        self.iter().for_each(|lane| lane.progress.reset());
    }
}

impl Lane {
    /// The NUMA domain that should run it.
    pub(crate) fn domain(&self) -> usize {
        self.domain as usize
    }

    /// Where whoever takes the lane begins.
    pub(crate) fn next(&self) -> usize {
        self.progress.next()
    }

    /// Says that so many steps are done.
    pub(crate) fn tell(&self, done: usize) {
        self.progress.tell(done);
    }

    /// Leaves the lane to whoever sees that what it waits for is there. The caller then looks once more itself.
    pub(crate) fn leave(&self, next: usize, want: Want) {
        self.progress.leave(next, want);
    }

    /// Takes a lane that was left, if what it wants is `there`; true for one taker alone.
    pub(crate) fn take(&self, there: impl Fn(Want) -> bool) -> bool {
        self.progress.take(there)
    }
}

/// No operation of the comm thread.
const NO_MESSAGE: u32 = u32::MAX;

/// By node, its place among the operations of the comm thread, and how many these are.
fn places_of_messages(graph: &Recorded) -> (Vec<u32>, usize) {
    let mut count = 0;
    let place = |node: &Node| {
        if node.is_task() {
            return NO_MESSAGE;
        }
        count += 1;
        narrow(count - 1)
    };
    let places = graph.nodes().iter().map(place).collect();
    (places, count)
}

/// Which tasks each lane runs, in order, with the lane's domain.
fn order(graph: &Recorded, workers_by_domain: &[usize]) -> Vec<(usize, Vec<NodeId>)> {
    let nodes = graph.nodes();
    let mut waits_for_messages = vec![false; nodes.len()];
    for (index, _) in nodes.iter().enumerate().filter(|(_, node)| !node.is_task()) {
        graph.successors(NodeId(index as u32)).iter().for_each(|next| waits_for_messages[next.index()] = true);
    }
    let domains = workers_by_domain.len();
    let task = |&index: &usize| match nodes[index].operation {
        Operation::Task { domain, .. } => Some((nodes[index].depth, domain as usize % domains, index)),
        _ => None,
    };
    let mut tasks: Vec<(u32, usize, usize)> = (0..nodes.len()).filter_map(|index| task(&index)).collect();
    tasks.sort_unstable();
    let first_of_domain = workers_by_domain.iter().scan(0, |sum, &workers| {
        *sum += workers;
        Some(*sum - workers)
    });
    let first_of_domain: Vec<usize> = first_of_domain.collect();
    let workers = workers_by_domain.iter().sum();
    let mut by_lane: Vec<(usize, Vec<NodeId>)> = Vec::new();
    for (domain, &workers) in workers_by_domain.iter().enumerate() {
        by_lane.extend((0..workers).map(|_| (domain, Vec::new())));
    }
    debug_assert_eq!(by_lane.len(), workers, "a lane for each worker");
    for group in tasks.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let domain = group[0].1;
        // A domain without workers leaves its tasks to those of the first that has some.
        let (first, count) = match workers_by_domain[domain] {
            0 => (0, workers),
            count => (first_of_domain[domain], count),
        };
        // What waits for messages comes last in its run: they may arrive meanwhile. What others wait for comes
        // before what they do not.
        for (waits, sends) in [(false, true), (false, false), (true, true), (true, false)] {
            let tasks = group.iter().enumerate().map(|(index, &(_, _, node))| (index, NodeId(node as u32)));
            let class = |node: NodeId| (waits_for_messages[node.index()], graph.is_urgent(node));
            for (index, node) in tasks.filter(|&(_, node)| class(node) == (waits, sends)) {
                by_lane[first + index * count / group.len()].1.push(node);
            }
        }
    }
    by_lane.retain(|(_, tasks)| !tasks.is_empty());
    by_lane
}

/// The nodes before each node.
struct Predecessors {
    list: Vec<NodeId>,
    starts: Vec<u32>,
}

fn predecessors(graph: &Recorded) -> Predecessors {
    let nodes = graph.nodes();
    let mut starts: Vec<u32> = vec![0; nodes.len() + 1];
    for (index, node) in nodes.iter().enumerate() {
        starts[index + 1] = starts[index] + node.dependencies;
    }
    let mut places = starts.clone();
    let mut list = vec![NodeId(0); starts[nodes.len()] as usize];
    for index in 0..nodes.len() {
        for next in graph.successors(NodeId(index as u32)) {
            let place = &mut places[next.index()];
            list[*place as usize] = NodeId(index as u32);
            *place += 1;
        }
    }
    Predecessors { list, starts }
}

impl Predecessors {
    fn of(&self, node: NodeId) -> &[NodeId] {
        &self.list[self.starts[node.index()] as usize..self.starts[node.index() + 1] as usize]
    }
}

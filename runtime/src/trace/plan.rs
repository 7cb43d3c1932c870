//! What the events of a session are about: the nodes of each graph and what comes before them.

use crate::ids::{Rank, Tag};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

/// A graph as a trace shows it, on one rank.
#[derive(Debug)]
pub struct Plan {
    /// What errors call the graph.
    pub name: String,
    /// This rank's nodes.
    pub nodes: Vec<PlannedNode>,
    /// Successors of all nodes in one list; node i's are `successors[starts[i]..starts[i + 1]]`.
    pub successors: Vec<u32>,
    /// Where each node's successors begin, and the end of all.
    pub starts: Vec<u32>,
}

/// A plan with what follows from it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) plan: Plan,
    /// For each message how many of this graph had its sender, receiver and tag before: ranks count alike.
    pub(super) occurrences: Vec<u32>,
}

/// A node as a trace shows it.
#[derive(Clone, Copy, Debug)]
pub struct PlannedNode {
    /// The task's label, or what kind of message it is.
    pub label: &'static str,
    /// What else is told of it.
    pub kind: PlannedKind,
}

/// What a node is, with what a trace tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedKind {
    /// Work of this rank.
    Task,
    /// A message of so many bytes to a rank.
    Send(Rank, Tag, usize),
    /// A message of so many bytes from a rank.
    Receive(Rank, Tag, usize),
    /// The graph's collective with this number, to which this rank gives so many bytes.
    Collective(u64, usize),
}

impl Known {
    fn new(plan: Plan) -> Known {
        let mut counts: HashMap<(Rank, Tag, bool), u32> = HashMap::new();
        let mut count = |node: &PlannedNode| {
            let message = match node.kind {
                PlannedKind::Send(to, tag, _) => (to, tag, true),
                PlannedKind::Receive(from, tag, _) => (from, tag, false),
                PlannedKind::Task | PlannedKind::Collective(..) => return 0,
            };
            let count = counts.entry(message).or_default();
            *count += 1;
            *count - 1
        };
        let occurrences = plan.nodes.iter().map(&mut count).collect();
        Known { plan, occurrences }
    }

    pub(super) fn successors(&self, node: usize) -> &[u32] {
        let starts = &self.plan.starts;
        &self.plan.successors[starts[node] as usize..starts[node + 1] as usize]
    }
}

/// One launch of a graph.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) graph: Arc<Known>,
    /// The number of its first collective: equal on all ranks, and no other launch's if it has messages.
    pub(super) first_collective: u64,
}

/// The launches of a session by their numbers, and the plans of their graphs.
#[derive(Default)]
pub(super) struct Launches {
    /// A handle that keeps a graph's address from being used again, with its plan.
    plans: HashMap<usize, (Weak<dyn Any + Send + Sync>, Arc<Known>)>,
    by_number: HashMap<u32, Launch>,
}

impl fmt::Debug for Launches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Launches({} of {} graphs)", self.by_number.len(), self.plans.len())
    }
}

impl Launches {
    pub(super) fn add(
        &mut self,
        number: u32,
        first_collective: u64,
        graph: Weak<dyn Any + Send + Sync>,
        plan: impl FnOnce() -> Plan,
    ) {
        let address = graph.as_ptr().cast::<()>().addr();
        let (_, known) = self.plans.entry(address).or_insert_with(|| (graph, Arc::new(Known::new(plan()))));
        self.by_number.insert(number, Launch { graph: Arc::clone(known), first_collective });
    }

    pub(super) fn get(&self, number: u32) -> Option<&Launch> {
        self.by_number.get(&number)
    }
}

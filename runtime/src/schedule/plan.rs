//! A graph as a trace shows it.

use crate::graph::{Graph, Node, Operation};
use crate::ids::{NodeId, Rank};
use crate::trace::{Plan, PlannedKind, PlannedNode};
use std::any::Any;
use std::sync::{Arc, Weak};

/// What tells this graph from all others.
pub(super) fn identity(graph: &Arc<Graph>) -> Weak<dyn Any + Send + Sync> {
    let weak: Weak<Graph> = Arc::downgrade(graph);
    weak
}

/// The graph's nodes and edges. Cost: a copy of both.
pub(super) fn of(graph: &Graph, rank: Rank) -> Plan {
    let nodes = graph.nodes();
    let mut starts = vec![0];
    let mut successors = Vec::new();
    for node in 0..nodes.len() {
        successors.extend(graph.successors(NodeId(node as u32)).iter().map(|next| next.0));
        starts.push(successors.len() as u32);
    }
    Plan {
        name: graph.description().to_string(),
        nodes: nodes.iter().map(|node| planned(node, rank)).collect(),
        successors,
        starts,
    }
}

fn planned(node: &Node, rank: Rank) -> PlannedNode {
    let bytes = node.operation.message().map_or(0, |cell| cell.bytes());
    let (label, kind) = match &node.operation {
        Operation::Task { label, .. } => (*label, PlannedKind::Task),
        Operation::Send { to, tag, .. } => ("send", PlannedKind::Send(*to, *tag, bytes)),
        Operation::Receive { from, tag, .. } => ("receive", PlannedKind::Receive(*from, *tag, bytes)),
        Operation::Collective { order, request } => {
            let name = request.name();
            // Without its article.
            let label = name.split_once(' ').map_or(name, |(_, rest)| rest);
            (label, PlannedKind::Collective(*order, request.bytes_given(rank)))
        }
    };
    PlannedNode { label, kind }
}

//! A graph before it runs: as numbers, and as Graphviz draws it.
//!
//! Both show this rank's part; what crosses ranks is marked with the other rank.

use super::{Graph, Operation};
use crate::ids::{NodeId, Rank};
use std::collections::HashMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

/// What one run of a graph does on one rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Tasks of this rank.
    pub tasks: usize,
    /// Pairs of nodes of which one waits for the other.
    pub edges: usize,
    /// Messages that this rank sends.
    pub messages: usize,
    /// Collectives of all ranks, with the agreement at the end.
    pub collectives: usize,
    /// Bytes that this rank gives to the transport, in messages and collectives, as the counters of traffic count them.
    pub bytes_sent: usize,
    /// Bytes of all blocks that the run uses here. They are all there when it begins, so none is added while it runs.
    pub bytes_held: usize,
    /// Nodes on the longest path.
    pub depth: usize,
}

impl Graph {
    /// What a run does on `rank`, whose graph this is. Nothing is sent. Cost: nodes and edges.
    pub fn outline(&self, rank: Rank) -> Outline {
        let nodes = self.nodes();
        let mut outline = Outline { edges: self.successors.len(), ..Outline::default() };
        let mut held: HashMap<*const u8, usize> = HashMap::new();
        let mut hold = |cell: &crate::memory::BlockCell| held.insert(std::ptr::from_ref(cell).cast(), cell.bytes());
        self.cells.iter().flatten().for_each(|cell| {
            hold(cell);
        });
        // Edges point forwards, so what is before a node is known when it is reached.
        let mut depths = vec![1; nodes.len()];
        self.grants.iter().for_each(|grant| {
            hold(grant.cell());
        });
        for (index, node) in nodes.iter().enumerate() {
            if let Some(cell) = node.operation.message() {
                hold(cell);
            }
            match &node.operation {
                Operation::Task { .. } => outline.tasks += 1,
                Operation::Send { .. } => {
                    outline.messages += 1;
                    outline.bytes_sent += message_bytes(&node.operation);
                }
                Operation::Receive { .. } => {}
                Operation::Collective { request, .. } => {
                    outline.collectives += 1;
                    outline.bytes_sent += request.bytes_given(rank);
                }
            }
            for next in self.successors(NodeId(index as u32)) {
                depths[next.index()] = depths[next.index()].max(depths[index] + 1);
            }
        }
        outline.depth = if nodes.is_empty() { 0 } else { depths.into_iter().max().unwrap_or(0) };
        outline.bytes_held = held.values().sum();
        outline
    }

    /// This rank's part in Graphviz's language: tasks as boxes, messages as ellipses with the other rank, collectives
    /// as hexagons. `dot -Tsvg` draws it. Cost: about a hundred bytes of text for each node and twenty for each edge.
    pub fn dot(&self) -> String {
        let mut out = format!("digraph {} {{\n  node [fontname=\"sans-serif\"];\n", quoted(self.description()));
        for (index, node) in self.nodes().iter().enumerate() {
            let bytes = message_bytes(&node.operation);
            let (shape, label) = match &node.operation {
                Operation::Task { label, domain, .. } if *domain > 0 => ("box", format!("{label}\ndomain {domain}")),
                Operation::Task { label, .. } => ("box", (*label).to_string()),
                Operation::Send { to, .. } => ("ellipse", format!("send to {to}\n{bytes} bytes")),
                Operation::Receive { from, .. } => ("ellipse", format!("receive from {from}\n{bytes} bytes")),
                Operation::Collective { order, request } => ("hexagon", format!("{}\nnumber {order}", request.name())),
            };
            let style = if shape == "box" { "" } else { ",style=filled,fillcolor=\"#f4d9d9\"" };
            line(&mut out, format_args!("  n{index} [shape={shape},label={}{style}];\n", quoted(&label)));
        }
        for index in 0..self.nodes().len() {
            for next in self.successors(NodeId(index as u32)) {
                line(&mut out, format_args!("  n{index} -> n{};\n", next.0));
            }
        }
        out.push_str("}\n");
        out
    }

    /// Writes [`Graph::dot`] into a file.
    ///
    /// # Errors
    /// What the system says if the file cannot be written.
    pub fn write_dot(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, self.dot())
    }
}

fn message_bytes(operation: &Operation) -> usize {
    operation.message().map_or(0, |cell| cell.bytes())
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes all text");
}

/// A text as Graphviz quotes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

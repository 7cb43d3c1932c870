//! Tags of a graph's messages, which tell apart those between two ranks that travel at once.
//!
//! There are fewer tags than a graph may have messages. One that is given the tag of an earlier one between the same
//! ranks is posted, on both, when the earlier one is done: receives are not posted in the order in which their blocks
//! are sent, so nothing else would keep the two apart.
//! Invariant: the earlier one stands before it in program order, so edges still point from earlier to later, on every
//! rank and across messages.

use super::build::{GraphBuilder, narrow};
use super::node::Operation;
use crate::ids::{NodeId, Rank, Tag};
use std::collections::HashMap;

/// The tags that were given, and the last message of this rank with each of them, when they are given again.
#[derive(Default)]
pub(super) struct Tags {
    given: u32,
    /// By tag, the other rank, and whether it is sent there.
    last: HashMap<(Tag, Rank, bool), NodeId>,
}

impl Tags {
    /// Whether some message of this rank may wait for another one that had its tag.
    pub(super) fn used_again(&self) -> bool {
        !self.last.is_empty()
    }
}

impl GraphBuilder {
    /// The tag of the next message, on all ranks.
    pub(super) fn new_tag(&mut self) -> Tag {
        let tag = Tag(self.tags.given % Tag::GRAPH_TAGS);
        self.tags.given += 1;
        tag
    }

    /// Lets a message of this rank follow the one that had its tag before, if there is one.
    ///
    /// Cost: none until all tags were given, then once a look at all nodes.
    pub(super) fn follow_tag(&mut self, node: NodeId) {
        if self.tags.given <= Tag::GRAPH_TAGS {
            return;
        }
        if self.tags.last.is_empty() {
            let messages = self.nodes[..node.index()].iter().enumerate();
            self.tags.last =
                messages.filter_map(|(at, node)| Some((key(&node.operation)?, NodeId(narrow(at))))).collect();
        }
        let key = key(&self.nodes[node.index()].operation).expect("asked of messages only");
        if let Some(before) = self.tags.last.insert(key, node) {
            self.edge(before, node);
        }
    }
}

fn key(operation: &Operation) -> Option<(Tag, Rank, bool)> {
    match *operation {
        Operation::Send { to, tag, .. } => Some((tag, to, true)),
        Operation::Receive { from, tag, .. } => Some((tag, from, false)),
        _ => None,
    }
}

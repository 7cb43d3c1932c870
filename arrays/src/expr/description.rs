//! Expressions in words, for errors and for what ranks must agree on.

use super::{Node, Recorded, Reduction};
use girih_runtime::fingerprint::Fingerprint;
use std::collections::HashSet;
use std::sync::Arc;

/// What makes two evaluations the same: every operation below, with shapes and types; values aside.
pub(crate) fn description(root: &Arc<Node>) -> (String, Fingerprint) {
    let detail = postorder(root).iter().fold(Fingerprint::default(), |print, node| {
        print.bytes(operation(node).as_bytes()).bytes(described(node).as_bytes())
    });
    let inputs = root.record().map_or(String::new(), |record| {
        let inputs: Vec<String> = record.inputs().into_iter().map(described).collect();
        if inputs.is_empty() { String::new() } else { format!(" of {}", inputs.join(" and ")) }
    });
    (format!("{}{inputs}", operation(root)), detail)
}

/// What a node does, in lower case.
pub(crate) fn operation(node: &Arc<Node>) -> String {
    let text = match node.record().as_deref() {
        None => "array".to_string(),
        Some(Recorded::Fill(_)) => "fill".to_string(),
        Some(Recorded::Sequence { .. }) => "sequence".to_string(),
        Some(Recorded::Map { operation, .. }) => format!("{operation:?}"),
        Some(Recorded::Reduce { reduction: Reduction { fold, axes, divisor }, .. }) => {
            let mean = if divisor.is_some() { ", divided" } else { "" };
            format!("{fold:?} over axes {axes:?}{mean}")
        }
        Some(Recorded::Scan { fold, axis, .. }) => format!("running {fold:?} along axis {axis}"),
        Some(Recorded::Product { .. } | Recorded::Across { .. }) => "product".to_string(),
        Some(Recorded::Custom { kernel, .. }) => kernel.described(),
        Some(Recorded::View { .. }) => "view".to_string(),
        Some(Recorded::Join { pieces }) => format!("join of {}", pieces.len()),
    };
    text.to_lowercase()
}

/// A node's type and shape.
pub(crate) fn described(node: &Arc<Node>) -> String {
    format!("{} {:?}", node.dtype, &node.shape[..])
}

/// The recorded nodes below and with `root`, each after its inputs.
pub(crate) fn postorder(root: &Arc<Node>) -> Vec<Arc<Node>> {
    let (mut order, mut seen) = (Vec::new(), HashSet::new());
    let mut stack = vec![(Arc::clone(root), false)];
    while let Some((node, done)) = stack.pop() {
        if done {
            order.push(node);
            continue;
        }
        let Some(record) = node.record() else { continue };
        if !seen.insert(Arc::as_ptr(&node)) {
            continue;
        }
        stack.push((node, true));
        stack.extend(record.inputs().into_iter().map(|input| (Arc::clone(input), false)));
    }
    order
}

//! What an evaluation would do, told before it runs: its steps, what is fused into each, and the outline of its graph.
//!
//! Nothing is computed and nothing is sent. Room for results is reserved and given back, but not touched.

use crate::dtype::DType;
use crate::error::Result;
use crate::evaluate::Plan;
use crate::expr::{Node, Recorded, operation};
use crate::lower::{Lowered, Lowering};
use crate::shape::Shape;
use girih_runtime::graph::Outline;
use girih_runtime::world::World;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// One array that is stored: its operation, and those that run in the same pass.
#[derive(Clone, Debug)]
pub struct Step {
    /// What computes it.
    pub operation: String,
    /// Operations whose results are never stored, in the order in which they run before it.
    pub fused: Vec<String>,
    /// Its element type.
    pub dtype: DType,
    /// Its shape.
    pub shape: Shape,
    /// Whether its rows are divided among the ranks.
    pub divided: bool,
    /// Numbers of the steps whose results it reads.
    pub inputs: Vec<usize>,
    /// Arrays that are there already and are read.
    pub leaves: usize,
}

/// What an evaluation would do.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    /// What is stored, each after what it reads; none if the value is there.
    pub steps: Vec<Step>,
    /// This rank's part of the graph.
    pub outline: Outline,
    /// This rank's part of the graph in Graphviz's language; empty if there is no graph.
    pub dot: String,
}

/// Explains a node's evaluation, without any trace in it.
///
/// # Errors
/// Local: `Error::Runtime` if there is no room for the results.
pub(crate) fn explain(world: &World, node: &Arc<Node>) -> Result<Explanation> {
    if node.is_there() {
        return Ok(Explanation::default());
    }
    let plan = Plan::looked_at(node);
    let steps = steps(&plan);
    let mut lowering = Lowering::only_recording(world);
    let kept = |node: &Arc<Node>| plan.kept.contains(&Arc::as_ptr(node));
    plan.order.iter().try_for_each(|node| lowering.node(node, &kept))?;
    let Lowered { graph, .. } = lowering.finish();
    let Some(graph) = graph else { return Ok(Explanation { steps, ..Explanation::default() }) };
    let graph = graph.finish()?;
    Ok(Explanation { steps, outline: graph.outline(world.rank()), dot: graph.dot() })
}

fn steps(plan: &Plan) -> Vec<Step> {
    let numbers: HashMap<*const Node, usize> =
        plan.order.iter().enumerate().map(|(number, node)| (Arc::as_ptr(node), number)).collect();
    plan.order.iter().map(|node| step(node, &numbers)).collect()
}

fn step(node: &Arc<Node>, numbers: &HashMap<*const Node, usize>) -> Step {
    let mut step = Step {
        operation: operation(node),
        fused: Vec::new(),
        dtype: node.dtype,
        shape: node.shape.clone(),
        divided: node.layout == crate::distribution::Layout::Rows,
        inputs: Vec::new(),
        leaves: 0,
    };
    // Depth first, so that what is fused is listed behind what it reads.
    let mut seen = HashSet::new();
    let mut stack = vec![(Arc::clone(node), false)];
    while let Some((below, read)) = stack.pop() {
        if read {
            if !Arc::ptr_eq(&below, node) {
                step.fused.push(operation(&below));
            }
            continue;
        }
        if !seen.insert(Arc::as_ptr(&below)) {
            continue;
        }
        let number = numbers.get(&Arc::as_ptr(&below)).filter(|_| !Arc::ptr_eq(&below, node));
        match (number, below.record()) {
            (Some(number), _) => step.inputs.push(*number),
            (None, None) => step.leaves += 1,
            (None, Some(record)) => {
                stack.push((below, true));
                stack.extend(inputs(&record).into_iter().map(|input| (input, false)));
            }
        }
    }
    step.inputs.sort_unstable();
    step
}

fn inputs(record: &Recorded) -> Vec<Arc<Node>> {
    record.inputs().into_iter().rev().cloned().collect()
}

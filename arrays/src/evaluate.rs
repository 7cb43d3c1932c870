//! Gives nodes their values: chooses what is kept, lowers it to one graph, and runs that.
//!
//! What is kept: the nodes asked for; reductions, products and moves of elements, with what they read; what an
//! elementwise operation reads in another shape; and what more than one kept node is computed from. The rest
//! is fused and never stored. A node that a second evaluation would compute again is kept from then on.
//! The choice follows from the expression and earlier evaluations, so it is alike on all ranks.

use crate::distribution::Layout;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::expr::{Node, Piece, Recorded, described, description, postorder};
use crate::kernel::dense::Factor;
use crate::lower::{Lowered, Lowering, write_whole};
use crate::shape::Shape;
use crate::tile::Part;
use girih_runtime::fingerprint::Fingerprint;
use girih_runtime::graph::{Graph, GraphBuilder};
use girih_runtime::world::World;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// Evaluates a node; returns when its value is there. Collective if anything must be computed by tasks.
///
/// # Errors
/// As `World::run`; replicated: `Error::Shape` for values that an operation does not take.
pub(crate) fn evaluate(world: &World, node: &Arc<Node>) -> Result<()> {
    if node.is_there() {
        return Ok(());
    }
    let plan = Plan::new(node);
    let mut lowering = Lowering::new(world);
    let kept = |node: &Arc<Node>| plan.kept.contains(&Arc::as_ptr(node));
    let recorded = plan.order.iter().try_for_each(|node| lowering.node(node, &kept));
    let Lowered { graph, outputs, mistakes } = lowering.finish();
    let Some(mut graph) = graph else { return recorded };
    describe(&mut graph, node);
    // A rank that lacks the memory for its part must not leave the others waiting for its messages.
    world.run_recorded(finished(graph, recorded))?;
    mistakes.agree(world)?;
    for (node, part) in outputs {
        node.set(part);
    }
    Ok(())
}

/// A node as `base`, with boxes of other arrays over it. Collective unless all is small.
///
/// Nobody else may see `base` if its value is to be written in place; else each rank copies what it has. Which of the
/// two it is may differ from rank to rank, for messages carry nothing but elements of the boxes.
///
/// # Errors
/// As [`evaluate`]; `base` may then have been written in part.
pub(crate) fn overwrite(world: &World, base: &Arc<Node>, pieces: Vec<Piece>) -> Result<Arc<Node>> {
    pieces.iter().try_for_each(|piece| evaluate(world, &piece.input))?;
    let part = value(world, base)?;
    let alone = Arc::strong_count(base) == 1 && Arc::strong_count(&part) == 2 && !part.slab().is_lent();
    let node = Node::recorded(base.shape.clone(), base.dtype, base.layout, Recorded::Join { pieces: pieces.clone() });
    let room = || if alone { Ok(None) } else { part.alike(world.memory()).map(Some) };
    let whole = pieces.iter().all(|piece| piece.input.layout == Layout::Replicated);
    if base.layout == Layout::Replicated && whole {
        let target = room()?.map_or_else(
            || Part::clone(&part),
            |copy| {
                copy.tiles()[0].cell.write().copy_from_slice(&part.tiles()[0].cell.read());
                copy
            },
        );
        write_whole(&pieces, &node.shape, &mut target.tiles()[0].cell.write());
        node.set(target);
        return Ok(node);
    }
    let mut lowering = Lowering::new(world);
    let recorded =
        room().map_err(Error::from).and_then(|copy| lowering.assign(&node, &pieces, Part::clone(&part), copy));
    let Lowered { graph, outputs, .. } = lowering.finish();
    let mut graph = graph.unwrap_or_else(|| world.graph("assign"));
    let detail = pieces.iter().fold(Fingerprint::default(), |print, piece| {
        print.bytes(format!("{:?} {:?} {:?}", piece.lengths, piece.from, piece.to).as_bytes())
    });
    graph.describe(&format!("assignment to {}", described(base)), detail);
    world.run_recorded(finished(graph, recorded))?;
    for (node, part) in outputs {
        node.set(part);
    }
    Ok(node)
}

/// The value of a node.
///
/// # Errors
/// As [`evaluate`].
pub(crate) fn value(world: &World, node: &Arc<Node>) -> Result<Arc<Part>> {
    evaluate(world, node)?;
    Ok(node.part().expect("an evaluated node has a value"))
}

/// An array whose rows lie as `rows` says, brought to where they belong. Collective.
///
/// # Errors
/// As `World::run`; local, agreed on: `Error::Runtime` for memory.
pub(crate) fn distribute(
    world: &World,
    shape: Shape,
    dtype: DType,
    rows: &[Range<usize>],
    row_bytes: usize,
    bytes: &[u8],
) -> Result<Arc<Node>> {
    let node = Node::arriving(shape, dtype);
    let part = Part::lone(world.memory(), rows[world.rank().index()].clone(), row_bytes);
    arrive(world, "distribute", &described(&node), |lowering| {
        let part = part?;
        part.fill(bytes);
        lowering.distribute(&node, rows, row_bytes, &part)
    })?;
    Ok(node)
}

/// The orthogonal factors of a matrix that is there. Collective.
///
/// # Errors
/// As `World::run`; local, agreed on: `Error::Runtime` for memory.
pub(crate) fn tall_qr(world: &World, x: &Arc<Node>) -> Result<(Arc<Node>, Arc<Node>)> {
    let n = x.shape[1];
    let q = Node::arriving(x.shape.clone(), x.dtype);
    let r = Node::arriving(Shape::new(&[n, n])?, x.dtype);
    arrive(world, "tall qr", &format!("qr of {}", described(x)), |lowering| lowering.tall_qr(x, &q, &r))?;
    Ok((q, r))
}

/// The factors of a matrix that is there, in these shapes, by blocks of columns. Collective.
///
/// # Errors
/// As `World::run`; local, agreed on: `Error::Runtime` for memory; replicated: `Error::Shape` for what is wrong with
/// the matrix.
pub(crate) fn factor_columns(
    world: &World,
    factor: Factor,
    x: &Arc<Node>,
    b: Option<&Arc<Node>>,
    shapes: &[Shape],
) -> Result<Vec<Arc<Node>>> {
    let factors: Vec<Arc<Node>> = shapes.iter().map(|shape| Node::arriving(shape.clone(), x.dtype)).collect();
    let sides = b.map_or(String::new(), |b| format!(" with {}", described(b)));
    let what = format!("{factor:?} of {}{sides}", described(x)).to_lowercase();
    arrive(world, "factor", &what, |lowering| lowering.factor_columns(factor, x, b, &factors))?;
    Ok(factors)
}

/// Runs a graph of its own and gives the nodes that it was recorded for their values.
fn arrive(
    world: &World,
    name: &'static str,
    what: &str,
    record: impl FnOnce(&mut Lowering<'_>) -> Result<()>,
) -> Result<()> {
    let mut lowering = Lowering::new(world);
    let recorded = record(&mut lowering);
    let Lowered { graph, outputs, mistakes } = lowering.finish();
    let mut graph = graph.unwrap_or_else(|| world.graph(name));
    graph.describe(what, Fingerprint::default());
    world.run_recorded(finished(graph, recorded))?;
    mistakes.agree(world)?;
    for (node, part) in outputs {
        node.set(part);
    }
    Ok(())
}

/// Whether a node can be computed at once in the calling thread: it is small, and so is all it needs.
pub(crate) fn is_immediate(node: &Arc<Node>) -> bool {
    let here = |node: &Arc<Node>| node.part().is_some_and(|part| part.layout() == Layout::Replicated);
    let mut rest = vec![Arc::clone(node)];
    while let Some(node) = rest.pop() {
        let Some(record) = node.record() else { continue };
        if node.layout == Layout::Rows {
            return false;
        }
        for input in record.inputs() {
            if input.record().is_some() {
                rest.push(Arc::clone(input));
            } else if !here(input) {
                return false;
            }
        }
    }
    true
}

/// The graph with what it computes, or why this rank has none.
fn finished(graph: GraphBuilder, recorded: Result<()>) -> Result<Graph> {
    recorded.and_then(|()| Ok(graph.finish()?))
}

fn describe(graph: &mut GraphBuilder, root: &Arc<Node>) {
    let (text, detail) = description(root);
    graph.describe(&text, detail);
}

/// The nodes to be kept, in an order in which each comes after what it needs.
pub(crate) struct Plan {
    pub(crate) order: Vec<Arc<Node>>,
    pub(crate) kept: HashSet<*const Node>,
}

impl Plan {
    /// The plan of an evaluation, which every node notes that it passes.
    fn new(root: &Arc<Node>) -> Plan {
        Plan::of(root, Node::pass)
    }

    /// The plan that an evaluation would have.
    pub(crate) fn looked_at(root: &Arc<Node>) -> Plan {
        Plan::of(root, Node::was_passed)
    }

    fn of(root: &Arc<Node>, passed: fn(&Node) -> bool) -> Plan {
        let nodes = postorder(root);
        let mut kept = HashSet::from([Arc::as_ptr(root)]);
        // The kept node that each other node is fused into.
        let mut head: HashMap<*const Node, *const Node> = HashMap::new();
        for node in nodes.iter().rev() {
            let key = Arc::as_ptr(node);
            if !kept.contains(&key) && !node.is_free() && passed(node) {
                kept.insert(key);
            }
            let own = if kept.contains(&key) { key } else { head.get(&key).copied().unwrap_or(key) };
            let record = node.record().expect("only recorded nodes are listed");
            for input in record.inputs().into_iter().filter(|input| input.record().is_some()) {
                let input_key = Arc::as_ptr(input);
                let other_head = head.insert(input_key, own).is_some_and(|head| head != own);
                if must_keep(&record, node, input) || (other_head && !input.is_free()) {
                    kept.insert(input_key);
                }
            }
        }
        let order = nodes.into_iter().filter(|node| kept.contains(&Arc::as_ptr(node))).collect();
        Plan { order, kept }
    }
}

/// Whether a node's value is needed as a whole by the node that reads it.
fn must_keep(reader: &Recorded, node: &Node, input: &Arc<Node>) -> bool {
    let record = input.record().expect("asked of recorded nodes only");
    let elementwise = matches!(*record, Recorded::Map { .. } | Recorded::Fill(_) | Recorded::Sequence { .. });
    let fusible = elementwise || input.window().is_some();
    match reader {
        Recorded::Map { .. } => {
            let constant = matches!(*record, Recorded::Fill(_));
            !constant && (!fusible || input.shape != node.shape)
        }
        // Small operands are whole on every rank, so that their one leaf does not depend on what made them.
        Recorded::Reduce { .. } => !fusible || input.layout == Layout::Replicated,
        _ => true,
    }
}

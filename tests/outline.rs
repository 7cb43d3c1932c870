//! What a graph says of itself before it runs is what it then does, on every number of ranks.

use girih_runtime::comm::{Reduction, Traffic};
use girih_runtime::error::Result;
use girih_runtime::graph::Access::{Read, Write};
use girih_runtime::graph::{Graph, Outline};
use girih_runtime::ids::Rank;
use girih_runtime::local;
use girih_runtime::world::World;
use std::sync::Arc;

/// Bytes of the block that goes around, and of those that are summed.
const PASSED: usize = 4096;
const SUMMED: usize = 64;

/// Every rank passes a block to the next, which reads it twice; then all sum a block.
fn ring(world: &World) -> Result<Graph> {
    let size = world.size();
    let mut graph = world.graph("ring");
    let passed = (0..size).map(|rank| graph.block(Rank::from(rank), PASSED)).collect::<Result<Vec<_>>>()?;
    let summed = (0..size).map(|rank| graph.block(Rank::from(rank), SUMMED)).collect::<Result<Vec<_>>>()?;
    for (rank, &block) in passed.iter().enumerate() {
        graph.task("make \"it\"", Rank::from(rank), 0, &[Write(block)], || Box::new(|_| Ok(())))?;
    }
    for rank in 0..size {
        let accesses = [Read(passed[(rank + size - 1) % size]), Write(summed[rank])];
        for label in ["first", "second"] {
            graph.task(label, Rank::from(rank), 0, &accesses, || Box::new(|_| Ok(())))?;
        }
    }
    graph.all_reduce(Reduction::SumI64, &summed);
    graph.finish()
}

/// The formula: what one rank of so many does in one run.
fn formula(ranks: usize) -> Outline {
    // A block that is read twice elsewhere travels once. The agreement at the end is a collective of one word.
    let (messages, collectives) = if ranks > 1 { (1, 2) } else { (0, 0) };
    let bytes_sent = if ranks > 1 { PASSED + SUMMED + 8 } else { 0 };
    let bytes_held = if ranks > 1 { 2 * PASSED + SUMMED + 8 } else { PASSED + SUMMED };
    // One rank: make to first, make to second, first to second. Several: make to send, receive to first, receive to
    // second, first to second, second to all-reduce, and from all-reduce and send to the agreement.
    let edges = if ranks > 1 { 7 } else { 3 };
    Outline { tasks: 3, edges, messages, collectives, bytes_sent, bytes_held, depth: if ranks > 1 { 5 } else { 3 } }
}

#[test]
fn the_outline_and_the_counters_follow_the_formula() {
    for ranks in 1..=8 {
        let found = local::run(ranks, 1, 3, |world| {
            let graph = Arc::new(ring(world)?);
            let outline = graph.outline(world.rank());
            world.traffic(true);
            world.run(&graph)?;
            world.run_again(&graph)?;
            Ok((outline, world.traffic(false).remove("ring").unwrap_or_default()))
        });
        for found in found.expect("the worlds start") {
            let found: Result<(Outline, Traffic)> = found;
            let (outline, traffic) = found.expect("no rank fails");
            assert_eq!(outline, formula(ranks), "{ranks} ranks");
            let counted = (traffic.messages, traffic.collectives, traffic.bytes);
            let expected = (2 * outline.messages, 2 * outline.collectives, 2 * outline.bytes_sent);
            assert_eq!(counted, (expected.0 as u64, expected.1 as u64, expected.2 as u64), "{ranks} ranks");
        }
    }
}

#[test]
fn a_graph_is_drawn_with_what_crosses_ranks() {
    let texts = local::run(2, 1, 0, |world| ring(world).map(|graph| graph.dot())).expect("the worlds start");
    for (rank, text) in texts.into_iter().enumerate() {
        let text = text.expect("no rank fails");
        let other = 1 - rank;
        let wanted = [
            "digraph \"ring\" {".to_string(),
            "[shape=box,label=\"make \\\"it\\\"\"];".to_string(),
            format!("label=\"send to rank {other}\\n4096 bytes\""),
            format!("label=\"receive from rank {other}\\n4096 bytes\""),
            "label=\"an all-reduce\\nnumber 0\"".to_string(),
        ];
        for words in wanted {
            assert!(text.contains(&words), "{words} is not in\n{text}");
        }
        assert_eq!(text.matches(" -> ").count(), formula(2).edges);
        assert_eq!(text.matches(" [shape=").count(), 3 + 2 + 2, "tasks, messages, collectives");
    }
}

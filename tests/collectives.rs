//! Collectives on one to eight ranks give what plain loops give, whatever is delivered when; and what they send.

use girih_runtime::comm::{Reduction, Traffic};
use girih_runtime::config::Config;
use girih_runtime::error::{Error, Result};
use girih_runtime::graph::GraphBuilder;
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::local;
use girih_runtime::world::World;
use girih_tests::collectives::{check_calls, check_graph};
use std::sync::Arc;

#[track_caller]
fn check(ranks: usize, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let both = |world: &World| check_graph(world, seed).and_then(|()| check_calls(world, seed));
        for (rank, outcome) in local::run(ranks, 1, seed, both).expect("the worlds start").into_iter().enumerate() {
            outcome.unwrap_or_else(|text| panic!("seed {seed}, rank {rank} of {ranks}: {text}"));
        }
    }
}

#[test]
fn one_rank_combines_with_itself() {
    check(1, 0..40);
}

#[test]
fn two_ranks_combine_and_exchange() {
    check(2, 0..60);
}

#[test]
fn three_ranks_combine_and_exchange() {
    check(3, 100..150);
}

#[test]
fn five_ranks_combine_and_exchange() {
    check(5, 200..230);
}

#[test]
fn eight_ranks_combine_and_exchange() {
    check(8, 300..320);
}

/// Runs a graph over one block of each rank of these lengths; what each rank sent for it.
#[track_caller]
fn check_traffic(bytes: [usize; 3], record: impl Fn(&mut Recorder<'_>) + Sync, expected: [Traffic; 3]) {
    let traffic = local::run(3, 1, 1, |world| {
        let mut graph = world.graph("counted");
        let mut recorder = Recorder { graph: &mut graph, bytes };
        record(&mut recorder);
        world.run(&Arc::new(graph.finish()?))?;
        Ok::<_, Error>(world.traffic(true)["counted"])
    });
    let traffic: Result<Vec<Traffic>> = traffic.expect("the worlds start").into_iter().collect();
    // The graph's own last word is an all-reduce of one word.
    let with_end = expected.map(|one| Traffic { collectives: one.collectives + 1, bytes: one.bytes + 8, ..one });
    assert_eq!(traffic.expect("no rank fails"), with_end);
}

struct Recorder<'a> {
    graph: &'a mut GraphBuilder,
    bytes: [usize; 3],
}

impl Recorder<'_> {
    fn blocks(&mut self, bytes: [usize; 3]) -> Vec<BlockId> {
        (0_u32..).zip(bytes).map(|(rank, bytes)| self.graph.block(Rank(rank), bytes).expect("room")).collect()
    }

    fn given(&mut self) -> Vec<BlockId> {
        self.blocks(self.bytes)
    }
}

fn collective(bytes: u64) -> Traffic {
    Traffic { messages: 0, collectives: 1, bytes }
}

#[test]
fn traffic_counts_what_each_rank_gives() {
    let equal = [collective(16); 3];
    let sum = |plan: &mut Recorder<'_>| {
        let blocks = plan.given();
        plan.graph.all_reduce(Reduction::SumI64, &blocks);
    };
    check_traffic([16; 3], sum, equal);
    let scan = |plan: &mut Recorder<'_>| {
        let blocks = plan.given();
        plan.graph.exclusive_scan(Reduction::SumI64, &blocks);
    };
    check_traffic([16; 3], scan, equal);
    let broadcast = |plan: &mut Recorder<'_>| {
        let blocks = plan.given();
        plan.graph.broadcast(Rank(1), &blocks);
    };
    check_traffic([16; 3], broadcast, [collective(0), collective(16), collective(0)]);
    let gather = |plan: &mut Recorder<'_>| {
        let (parts, wholes) = (plan.given(), plan.blocks([6; 3]));
        plan.graph.all_gather(&parts, &wholes);
    };
    check_traffic([1, 2, 3], gather, [collective(1), collective(2), collective(3)]);
    let scatter = |plan: &mut Recorder<'_>| {
        let (wholes, parts) = (plan.given(), plan.blocks([0, 8, 16]));
        plan.graph.reduce_scatter(Reduction::MaxI64, &wholes, &parts);
    };
    check_traffic([24; 3], scatter, [collective(24); 3]);
}

#[test]
fn an_all_to_all_sends_what_is_for_others() {
    // Rank r has r bytes for each rank, and so keeps r.
    let exchange = |plan: &mut Recorder<'_>| {
        let (sends, receives) = (plan.given(), plan.blocks([3; 3]));
        plan.graph.all_to_all(&sends, &receives, |from, _| from.index());
    };
    check_traffic([0, 3, 6], exchange, [collective(0), collective(2), collective(4)]);
}

#[track_caller]
fn check_divergence(program: impl Fn(&World) -> Result<()> + Sync) {
    for outcome in local::run(3, 1, 1, |world| (program(world), world.max(5))).expect("all ranks come to the end") {
        assert!(matches!(outcome, (Err(Error::Divergence { .. }), Ok(5))), "{outcome:?}");
    }
}

#[test]
fn ranks_that_give_other_lengths_diverge() {
    let words = |world: &World| vec![1; 3 + world.rank().index() / 2];
    check_divergence(|world| world.all_reduce(Reduction::SumI64, &mut words(world)));
    check_divergence(|world| world.scan(Reduction::SumI64, &mut words(world)));
    check_divergence(|world| world.reduce(Rank(world.rank().0 / 2), Reduction::SumI64, &mut [1]));
    let parts = |world: &World| if world.rank() == Rank(0) { [1, 1, 2] } else { [2, 1, 1] };
    check_divergence(|world| world.reduce_scatter(Reduction::MinI64, &[1; 4], &parts(world)).map(drop));
}

#[test]
fn graphs_that_exchange_other_lengths_diverge() {
    check_divergence(|world| {
        let mut graph = world.graph("exchange");
        let blocks =
            |graph: &mut GraphBuilder| (0..3).map(|rank| graph.block(Rank(rank), 3)).collect::<Result<Vec<_>>>();
        let (sends, receives) = (blocks(&mut graph)?, blocks(&mut graph)?);
        // The totals are the same: rank 0 alone gives all of its bytes to the next rank, or one to each.
        let ring = |from: Rank, to: Rank| if to.0 == (from.0 + 1) % 3 { 3 } else { 0 };
        match world.rank() {
            Rank(0) => graph.all_to_all(&sends, &receives, ring),
            _ => graph.all_to_all(&sends, &receives, |_, _| 1),
        }
        world.run(&Arc::new(graph.finish()?))
    });
}

#[test]
fn a_rank_without_room_for_what_it_receives_fails_all() {
    let config = Config { threads: Some(1), bind: false, bytes_max: Some(1 << 20), ..Config::default() };
    let outcomes = local::run_with(3, 1, &config, |world| {
        // What two ranks send to rank 1 is less than a budget, and more than rank 1 has left.
        let (held, part) = if world.rank() == Rank(1) { (600 << 10, 0) } else { (0, 300 << 10) };
        let held = world.memory().block(held)?;
        let sends = world.memory().block(part)?;
        let outcome = world.all_to_all(&sends, &[0, part, 0]).map(drop);
        drop(held);
        Ok::<_, Error>((outcome, world.max(1)))
    });
    for (rank, outcome) in outcomes.expect("the worlds start").into_iter().enumerate() {
        let (outcome, after) = outcome.expect("room for what is sent");
        let expected = match outcome {
            Err(Error::Memory { .. }) => rank == 1,
            Err(Error::Remote { rank: Rank(1), .. }) => rank != 1,
            _ => false,
        };
        assert!(expected, "rank {rank}: {outcome:?}");
        assert_eq!(after.expect("the world goes on"), 1);
    }
}

//! Every collective on random lengths, in graphs and as calls of a world, for any transport.
//!
//! What is expected is computed on each rank from ranks, lengths and a seed, without any message.
//! Never here: ranks; the caller brings a world.

use girih_runtime::comm::Reduction;
use girih_runtime::error::Error;
use girih_runtime::graph::{Access::Write, Graph, GraphBuilder};
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::world::World;
use std::fmt::Debug;
use std::sync::Arc;

const REDUCTIONS: [Reduction; 3] = [Reduction::SumI64, Reduction::MaxI64, Reduction::MinI64];

/// A number without a pattern: word `index` of what a rank gives, or a length.
fn word(seed: u64, rank: usize, index: usize) -> i64 {
    let mut state = seed ^ ((rank as u64) << 40) ^ (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for _ in 0..3 {
        state = (state ^ (state >> 31)).wrapping_mul(0xD6E8_FEB8_6659_FD93).wrapping_add(1);
    }
    (state ^ (state >> 29)) as i64
}

/// A length of at most 40, in a third of the cases 0.
fn length(seed: u64, rank: usize, index: usize) -> usize {
    let number = word(seed ^ 0x1E57, rank, index) as u64;
    if number.is_multiple_of(3) { 0 } else { (number >> 8) as usize % 41 }
}

fn words(seed: u64, rank: usize, count: usize) -> Vec<i64> {
    (0..count).map(|index| word(seed, rank, index)).collect()
}

/// The bytes that one rank gives to another.
fn bytes(seed: u64, from: usize, to: usize, count: usize) -> Vec<u8> {
    (0..count).map(|index| word(seed, from * 1000 + to, index) as u8).collect()
}

/// What the words of these ranks combine to.
fn combined(seed: u64, ranks: std::ops::Range<usize>, count: usize, reduction: Reduction) -> Vec<i64> {
    let of_index = |index| {
        let words = ranks.clone().map(|rank| word(seed, rank, index));
        match reduction {
            Reduction::SumI64 => words.fold(0, i64::wrapping_add),
            Reduction::MaxI64 => words.max().unwrap_or(i64::MIN),
            Reduction::MinI64 => words.min().unwrap_or(i64::MAX),
        }
    };
    (0..count).map(of_index).collect()
}

fn expect<T: PartialEq + Debug + ?Sized>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} where {expected:?} was expected")) }
}

/// A graph under construction, and what this rank's blocks must hold in the end.
struct Plan<'a> {
    seed: u64,
    world: &'a World,
    graph: GraphBuilder,
    expected: Vec<(String, BlockId, Vec<u8>)>,
}

impl Plan<'_> {
    /// A block of each rank, of that many bytes.
    fn blocks(&mut self, bytes: impl Fn(usize) -> usize) -> Result<Vec<BlockId>, Error> {
        (0..self.world.size()).map(|rank| self.graph.block(Rank::from(rank), bytes(rank))).collect()
    }

    /// As [`Plan::blocks`], filled by a task of each rank in every epoch.
    fn filled(&mut self, given: impl Fn(usize) -> Vec<u8>) -> Result<Vec<BlockId>, Error> {
        let blocks = self.blocks(|rank| given(rank).len())?;
        for (rank, &block) in blocks.iter().enumerate() {
            let given = given(rank);
            self.graph.task("fill", Rank::from(rank), 0, &[Write(block)], || {
                Box::new(move |context| {
                    context.write(0).copy_from_slice(&given);
                    Ok(())
                })
            })?;
        }
        Ok(blocks)
    }

    fn filled_with_words(&mut self, count: usize) -> Result<Vec<BlockId>, Error> {
        let seed = self.seed;
        self.filled(|rank| bytemuck::cast_slice(&words(seed, rank, count)).to_vec())
    }

    fn expect(&mut self, what: &str, blocks: &[BlockId], expected: &[u8]) {
        self.expected.push((what.to_string(), blocks[self.world.rank().index()], expected.to_vec()));
    }

    fn expect_words(&mut self, what: &str, reduction: Reduction, blocks: &[BlockId], expected: &[i64]) {
        self.expect(&format!("{what}, {reduction:?}"), blocks, bytemuck::cast_slice(expected));
    }

    fn reductions(&mut self, reduction: Reduction) -> Result<(), Error> {
        let (seed, here, size) = (self.seed, self.world.rank().index(), self.world.size());
        let count = length(seed, 0, reduction as usize);
        let all = combined(seed, 0..size, count, reduction);
        let blocks = self.filled_with_words(count)?;
        self.graph.all_reduce(reduction, &blocks);
        self.expect_words("all-reduce", reduction, &blocks, &all);

        let (blocks, root) = (self.filled_with_words(count)?, length(seed, 1, 1) % size);
        self.graph.reduce(Rank::from(root), reduction, &blocks);
        let expected = if root == here { all.clone() } else { words(seed, here, count) };
        self.expect_words("reduce", reduction, &blocks, &expected);

        let blocks = self.filled_with_words(count)?;
        self.graph.scan(reduction, &blocks);
        self.expect_words("scan", reduction, &blocks, &combined(seed, 0..here + 1, count, reduction));
        let blocks = self.filled_with_words(count)?;
        self.graph.exclusive_scan(reduction, &blocks);
        self.expect_words("exclusive scan", reduction, &blocks, &combined(seed, 0..here, count, reduction));

        let part = |rank| length(seed, rank, 2);
        let total = (0..size).map(part).sum();
        let wholes = self.filled_with_words(total)?;
        let parts = self.blocks(|rank| 8 * part(rank))?;
        self.graph.reduce_scatter(reduction, &wholes, &parts);
        let start = (0..here).map(part).sum::<usize>();
        let all = combined(seed, 0..size, total, reduction);
        self.expect_words("reduce-scatter", reduction, &parts, &all[start..start + part(here)]);
        Ok(())
    }

    fn movements(&mut self) -> Result<(), Error> {
        let (seed, here, size) = (self.seed, self.world.rank().index(), self.world.size());
        let (count, root) = (length(seed, 3, 0), length(seed, 3, 1) % size);
        let blocks = self.filled(|rank| bytes(seed, rank, 0, count))?;
        self.graph.broadcast(Rank::from(root), &blocks);
        self.graph.barrier(&blocks);
        self.expect("broadcast", &blocks, &bytes(seed, root, 0, count));

        let part = |rank| bytes(seed, rank, 1, length(seed, rank, 4));
        let whole: Vec<u8> = (0..size).flat_map(part).collect();
        let parts = self.filled(part)?;
        let wholes = self.blocks(|_| whole.len())?;
        self.graph.all_gather(&parts, &wholes);
        self.expect("all-gather", &wholes, &whole);

        let of_pair = |from: usize, to: usize| length(seed, from, 100 + to);
        let part = |from: usize, to: usize| bytes(seed, from, to, of_pair(from, to));
        let sends = self.filled(|from| (0..size).flat_map(|to| part(from, to)).collect())?;
        let receives = self.blocks(|to| (0..size).map(|from| of_pair(from, to)).sum())?;
        self.graph.all_to_all(&sends, &receives, |from, to| of_pair(from.index(), to.index()));
        let expected: Vec<u8> = (0..size).flat_map(|from| part(from, here)).collect();
        self.expect("all-to-all", &receives, &expected);
        Ok(())
    }

    fn run(self, epochs: usize) -> Result<(Arc<Graph>, Vec<(String, BlockId, Vec<u8>)>), Error> {
        let graph = Arc::new(self.graph.finish()?);
        (0..epochs).try_for_each(|_| self.world.run(&graph))?;
        Ok((graph, self.expected))
    }
}

/// A graph of all collectives, run twice.
///
/// # Errors
/// What is wrong, in words.
pub fn check_graph(world: &World, seed: u64) -> Result<(), String> {
    let plan = || {
        let mut plan = Plan { seed, world, graph: world.graph("collectives"), expected: Vec::new() };
        REDUCTIONS.into_iter().try_for_each(|reduction| plan.reductions(reduction))?;
        plan.movements()?;
        plan.run(2)
    };
    let (graph, expected) = plan().map_err(|error| error.to_string())?;
    for (what, block, expected) in expected {
        expect(&format!("seed {seed}, {what}"), &graph.cell(block).read()[..], &expected[..])?;
    }
    Ok(())
}

/// Every collective as a call of the world.
///
/// # Errors
/// What is wrong, in words.
pub fn check_calls(world: &World, seed: u64) -> Result<(), String> {
    let (here, size) = (world.rank().index(), world.size());
    let text = |error: Error| error.to_string();
    for reduction in REDUCTIONS {
        let (count, root) = (length(seed, 0, reduction as usize), length(seed, 1, 1) % size);
        let mine = words(seed, here, count);
        let mut found = mine.clone();
        world.all_reduce(reduction, &mut found).map_err(text)?;
        let all = combined(seed, 0..size, count, reduction);
        expect("all-reduce", &found, &all)?;
        let mut found = mine.clone();
        world.reduce(Rank::from(root), reduction, &mut found).map_err(text)?;
        expect("reduce", &found, if root == here { &all } else { &mine })?;
        let mut found = mine.clone();
        world.scan(reduction, &mut found).map_err(text)?;
        expect("scan", &found, &combined(seed, 0..here + 1, count, reduction))?;
        let mut found = mine;
        world.exclusive_scan(reduction, &mut found).map_err(text)?;
        expect("exclusive scan", &found, &combined(seed, 0..here, count, reduction))?;
        let parts: Vec<usize> = (0..size).map(|rank| length(seed, rank, 2)).collect();
        let (total, start) = (parts.iter().sum(), parts[..here].iter().sum::<usize>());
        let found = world.reduce_scatter(reduction, &words(seed, here, total), &parts).map_err(text)?;
        expect("reduce-scatter", &found[..], &combined(seed, 0..size, total, reduction)[start..start + parts[here]])?;
    }
    let part = |from: usize, to: usize| bytes(seed, from, to, length(seed, from, 100 + to));
    let found = world.all_to_all_bytes((0..size).map(|to| part(here, to)).collect()).map_err(text)?;
    expect("all-to-all", &found, &(0..size).map(|from| part(from, here)).collect())?;
    let root = length(seed, 3, 1) % size;
    let found = world.broadcast_bytes(Rank::from(root), part(here, 0)).map_err(text)?;
    expect("broadcast", &found, &part(root, 0))?;
    let found = world.all_gather_bytes(part(here, 1)).map_err(text)?;
    expect("all-gather", &found, &(0..size).map(|rank| part(rank, 1)).collect())?;
    world.barrier().map_err(text)
}

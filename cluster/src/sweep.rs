//! One pass over all rows: a task for each tile, whose words are combined over workers and ranks.
//!
//! Invariant: words are combined by sums or maxima of integers, so the result depends on neither order nor cut.
//! Traffic: an agreement, and one all-reduce of the words.

use crate::accumulators::Accumulators;
use crate::error::Result;
use crate::scratch::Scratches;
use crate::tile::{Rows, Tile};
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{Real, Scratch};
use girih_runtime::comm::Reduction;
use girih_runtime::fingerprint::Fingerprint;
use girih_runtime::graph::Access::{Read, Write};
use girih_runtime::graph::Graph;
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::world::World;
use std::collections::HashMap;
use std::sync::Arc;

/// What a sweep is called in traces and errors, and how its words combine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    pub(crate) name: &'static str,
    pub(crate) reduction: Reduction,
    pub(crate) words: usize,
    /// What else all ranks must have alike.
    pub(crate) plan: Fingerprint,
}

/// A tile as a sweep's body sees it.
pub(crate) struct Visit<'a, T> {
    /// The tile's place among this rank's.
    pub(crate) index: usize,
    /// The tile's weights, if it has some.
    pub(crate) weights: Option<&'a [T]>,
    pub(crate) rows: Rows<'a, T>,
}

impl Sweep {
    /// Calls `body` once for each tile with words to add to; their combination over all ranks.
    ///
    /// # Errors
    /// As the runtime's: all ranks learn of a failure.
    pub(crate) fn over<T: Real + Element + Default>(
        self,
        world: &World,
        tiles: &[Tile],
        body: impl Fn(Visit<T>, &mut [i64], &mut Scratch<T>) + Send + Sync + 'static,
    ) -> Result<Vec<i64>> {
        let recorded = self.graph(world, tiles, Arc::new(body));
        let total = recorded.as_ref().map(|(_, total)| *total).ok();
        let graph = world.run_recorded(recorded.map(|(graph, _)| graph))?;
        let total = total.expect("what was run was recorded");
        Ok(graph.cell(total).read().of::<i64>().to_vec())
    }

    fn graph<T: Real + Element + Default>(
        self,
        world: &World,
        tiles: &[Tile],
        body: Arc<impl Fn(Visit<T>, &mut [i64], &mut Scratch<T>) + Send + Sync + 'static>,
    ) -> Result<(Graph, BlockId)> {
        let mut graph = world.graph(self.name);
        graph.describe(self.name, self.plan);
        let rank = graph.rank();
        let accumulators = Accumulators::new(world, self.words, self.reduction)?;
        // Without bytes: it says that the tile's task has run.
        let mut visited = Vec::with_capacity(tiles.len());
        let (mut bound, scratches) = (HashMap::new(), Scratches::new());
        for (index, tile) in tiles.iter().enumerate() {
            visited.push(graph.block(rank, 0)?);
            let mut accesses = vec![Write(visited[index])];
            for cell in tile.cells() {
                let bind = || graph.bind(rank, cell.bytes(), Some(Arc::clone(cell)));
                accesses.push(Read(*bound.entry(Arc::as_ptr(cell)).or_insert_with(bind)));
            }
            let (tile, body, scratches) = (tile.clone(), Arc::clone(&body), scratches.clone());
            let accumulators = accumulators.clone();
            let domain = world.domain_of_tile(index, tiles.len());
            graph.task(self.name, rank, domain, &accesses, || {
                Box::new(move |_| {
                    let weights = tile.weights.as_ref().map(|weights| weights.cell.borrow());
                    let weights = weights.as_ref().map(|all| tile.weights_of(all.of::<T>()));
                    tile.lend(|rows| {
                        let visit = Visit { index, weights, rows };
                        accumulators.lend(domain, |words| scratches.lend(|scratch| body(visit, words, scratch)))
                    })?
                })
            })?;
        }
        let block = |of| graph.block(Rank::from(of), self.words * size_of::<i64>());
        let totals = (0..world.size()).map(block);
        let totals = totals.collect::<Result<Vec<BlockId>, _>>()?;
        let total = totals[rank.index()];
        let accesses: Vec<_> = [Write(total)].into_iter().chain(visited.into_iter().map(Read)).collect();
        graph.task(self.name, rank, 0, &accesses, || {
            Box::new(move |context| {
                accumulators.combine(context.write(0).of_mut::<i64>());
                Ok(())
            })
        })?;
        graph.all_reduce(self.reduction, &totals);
        Ok((graph.finish()?, total))
    }
}

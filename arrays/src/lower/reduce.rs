//! Reductions, fused with the expression that they reduce.

use super::folding::Folding;
use super::machine::{Machine, Source};
use super::map::{Leaves, guards, open, sources};
use super::mistakes::Mistakes;
use super::program::{Fused, Program};
use super::tree::{LeafBody, Words};
use super::{Accesses, Lowering};
use crate::distribution::{Layout, RowDistribution};
use crate::error::Result;
use crate::expr::{Node, Reduction};
use girih_runtime::ids::Rank;
use std::ops::Range;
use std::sync::Arc;

/// What the tasks of one reduction have in common.
pub(super) struct Reducer {
    pub(super) program: Program,
    pub(super) folding: Folding,
    pub(super) words: Words,
    pub(super) mistakes: Mistakes,
}

impl Lowering<'_> {
    pub(super) fn reduce(
        &mut self,
        node: &Arc<Node>,
        reduction: &Reduction,
        input: &Arc<Node>,
        fused: Fused,
    ) -> Result<()> {
        let Fused { program, leaves } = fused;
        let folding = Folding::new(reduction, input.dtype, &input.shape);
        let words = Words {
            fold: reduction.fold,
            dtype: input.dtype,
            width: folding.width,
            divisor: reduction.divisor,
            result: node.dtype,
        };
        self.mistakes.expect(program.may_fail());
        let rows = input.shape.rows();
        let reducer = |mistakes: &Mistakes| Reducer { program, folding, words, mistakes: mistakes.clone() };
        if input.layout == Layout::Replicated
            && let Some(parts) = self.all_leaves_now(&leaves)
        {
            let guards = open(&parts);
            return self.at_once(node, |out, mistakes| reducer(mistakes).whole(sources(&guards), rows, out));
        }
        let reducer = Arc::new(reducer(&self.mistakes));
        if input.layout == Layout::Rows
            && let Some(parts) = self.alone(&leaves, input)
            && let Some(done) = self.reduce_alone(node, input, &reducer, &parts)
        {
            return done;
        }
        if input.layout == Layout::Rows
            && let Some(parts) = self.together(&leaves, input)
            && let Some(done) = self.reduce_together(node, input, &reducer, &parts)
        {
            return done;
        }
        let leaves = self.leaves(&leaves, &input.shape)?;
        match (input.layout, reducer.folding.across_rows) {
            (Layout::Replicated, _) => self.reduce_everywhere(node, &reducer, &leaves, rows),
            (Layout::Rows, false) => self.reduce_rows(node, &reducer, &leaves),
            (Layout::Rows, true) => {
                let distribution = self.distribution(rows);
                self.tree(node, &distribution, words, &|rank, tile, accesses| {
                    leaf_body(&reducer, &leaves, &distribution, (rank, tile), accesses)
                })
            }
        }
    }

    /// Every rank reduces the same values.
    fn reduce_everywhere(
        &mut self,
        node: &Arc<Node>,
        reducer: &Arc<Reducer>,
        leaves: &Leaves,
        rows: usize,
    ) -> Result<()> {
        assert!(!leaves.spread, "a small operand of a reduction has a value of its own");
        let output = self.output(node)?;
        for rank in self.ranks() {
            let mut accesses = Accesses::default();
            let reads = leaves.reads(&mut accesses, rank, 0, &(0..rows));
            let target = accesses.write(output.tile(rank, 0).block);
            let reducer = Arc::clone(reducer);
            self.graph().task("reduce", rank, 0, &accesses.list, || {
                Box::new(move |context| {
                    reducer.whole(sources(&guards(context, &reads)), rows, &mut context.write(target));
                    Ok(())
                })
            })?;
        }
        Ok(())
    }

    /// Axis 0 stays: every row is reduced where it is.
    fn reduce_rows(&mut self, node: &Arc<Node>, reducer: &Arc<Reducer>, leaves: &Leaves) -> Result<()> {
        self.by_rows(node, |lowering, distribution, output| {
            for rank in lowering.ranks() {
                let tiles = distribution.tiles_of(rank);
                for tile in 0..tiles {
                    let mut accesses = Accesses::default();
                    let rows = distribution.rows_of_tile(rank, tile);
                    let reads = leaves.reads(&mut accesses, rank, tile, &rows);
                    let target = accesses.write(output.tile(rank, tile).block);
                    let domain = lowering.domain(rank, tile, tiles);
                    let reducer = Arc::clone(reducer);
                    lowering.graph().task("reduce rows", rank, domain, &accesses.list, || {
                        Box::new(move |context| {
                            reducer.each_row(sources(&guards(context, &reads)), &rows, &mut context.write(target));
                            Ok(())
                        })
                    })?;
                }
            }
            Ok(())
        })
    }
}

/// The body that reduces a tile's leaves, and what it reads.
fn leaf_body(
    reducer: &Arc<Reducer>,
    leaves: &Leaves,
    distribution: &RowDistribution,
    (rank, tile): (Rank, usize),
    accesses: &mut Accesses,
) -> LeafBody {
    let (rows, leaf_rows) = (distribution.rows_of_tile(rank, tile), distribution.leaf_rows());
    let reads = leaves.reads(accesses, rank, tile, &rows);
    let reducer = Arc::clone(reducer);
    Box::new(move |context, emit| {
        let guards = guards(context, &reads);
        let mut machine = reducer.machine(sources(&guards));
        reducer.folding.rows(&mut machine, &rows, leaf_rows, |_, words| emit(words));
    })
}

impl Reducer {
    fn machine<'a>(&'a self, sources: Vec<Source<'a>>) -> Machine<'a> {
        Machine::new(&self.program, sources, &self.mistakes)
    }

    /// Reduces all rows; they are one leaf.
    fn whole(&self, sources: Vec<Source<'_>>, rows: usize, out: &mut [u8]) {
        if !self.folding.across_rows {
            return self.each_row(sources, &(0..rows), out);
        }
        let words = self.words;
        if rows == 0 {
            let mut nothing = vec![0; words.length()];
            words.fold.clear(words.dtype, &mut nothing);
            return words.finish(&nothing, out);
        }
        let mut machine = self.machine(sources);
        self.folding.rows(&mut machine, &(0..rows), rows, |_, leaf| words.finish(leaf, out));
    }

    pub(super) fn each_row(&self, sources: Vec<Source<'_>>, rows: &Range<usize>, out: &mut [u8]) {
        let (words, item) = (self.words, self.words.result.bytes());
        let mut machine = self.machine(sources);
        self.folding.rows(&mut machine, rows, 1, |row, several| {
            let first = row * words.width * item;
            words.finish(several, &mut out[first..first + several.len() / words.unit() * item]);
        });
    }
}

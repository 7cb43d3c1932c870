//! Kernels of other modules, on each tile of the result.

use super::{Accesses, Lowering, PlacedTile};
use crate::distribution::Layout;
use crate::error::Result;
use crate::expr::Node;
use crate::kernel::custom::{Kernel, Rows};
use girih_runtime::ids::Rank;
use std::ops::Range;
use std::sync::Arc;

/// An input of a task: the access that reads it, and the bytes of its block that the task sees.
type Seen = (usize, Range<usize>);

impl Lowering<'_> {
    /// Rows that a kernel computes from the same rows of the first `aligned` inputs and the whole of the others.
    pub(super) fn custom(
        &mut self,
        node: &Arc<Node>,
        kernel: &Arc<Kernel>,
        aligned: usize,
        inputs: &[Arc<Node>],
    ) -> Result<()> {
        self.mistakes.expect(kernel.may_fail());
        if node.layout == Layout::Replicated
            && let Some(parts) = self.all_whole_now(inputs)
        {
            let guards: Vec<_> = parts.iter().map(|part| part.tiles()[0].cell.read()).collect();
            let (first, rest) = guards.split_at(aligned);
            return self.at_once(node, |out, mistakes| {
                let rows = Rows {
                    rows: 0..node.shape.rows(),
                    aligned: first.iter().map(|guard| &guard[..]).collect(),
                    whole: rest.iter().map(|guard| &guard[..]).collect(),
                };
                kernel.run(&rows, out).unwrap_or_else(|text| mistakes.note(text));
            });
        }
        let mut placed = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            placed.push(if index < aligned { self.placed(input) } else { self.whole(input)? });
        }
        self.by_rows(node, |lowering, distribution, output| {
            for rank in lowering.ranks() {
                let tiles = distribution.tiles_of(rank);
                for tile in 0..tiles {
                    let rows = distribution.rows_of_tile(rank, tile);
                    let mut accesses = Accesses::default();
                    let mut seen: Vec<Seen> = Vec::with_capacity(inputs.len());
                    for (index, (placed, input)) in placed.iter().zip(inputs).enumerate() {
                        let held = placed.tile(rank, tile);
                        let row_bytes = input.shape.row_elements() * input.dtype.bytes();
                        let bytes = if index < aligned {
                            (rows.start - held.rows.start) * row_bytes..(rows.end - held.rows.start) * row_bytes
                        } else {
                            0..input.bytes()
                        };
                        seen.push((accesses.read(held.block), bytes));
                    }
                    let target = output.tile(rank, tile).clone();
                    lowering.custom_task(kernel, rank, (tile, tiles), accesses, seen, aligned, rows, &target)?;
                }
            }
            Ok(())
        })
    }

    #[expect(clippy::too_many_arguments, reason = "a task, what it reads and what it writes")]
    fn custom_task(
        &mut self,
        kernel: &Arc<Kernel>,
        rank: Rank,
        (tile, tiles): (usize, usize),
        mut accesses: Accesses,
        seen: Vec<Seen>,
        aligned: usize,
        rows: Range<usize>,
        target: &PlacedTile,
    ) -> Result<()> {
        let target = accesses.write(target.block);
        let (kernel, mistakes) = (Arc::clone(kernel), self.mistakes.clone());
        let domain = self.domain(rank, tile, tiles);
        self.graph().task(kernel.name(), rank, domain, &accesses.list, || {
            Box::new(move |context| {
                let guards: Vec<_> = seen.iter().map(|(access, _)| context.read(*access)).collect();
                let mut inputs: Vec<&[u8]> =
                    guards.iter().zip(&seen).map(|(guard, (_, bytes))| &guard[bytes.clone()]).collect();
                let whole = inputs.split_off(aligned);
                let rows = Rows { rows: rows.clone(), aligned: inputs, whole };
                kernel.run(&rows, &mut context.write(target)).unwrap_or_else(|text| mistakes.note(text));
                Ok(())
            })
        })?;
        Ok(())
    }
}

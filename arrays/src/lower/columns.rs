//! Factorisations of one large matrix, by tasks on blocks of columns that go round the ranks.
//!
//! A panel is finished on the rank that has it and sent to every rank with a block behind it. What makes the next panel
//! ready leads the longest way to the end, so it is run first: panels are finished while blocks further behind are
//! still being changed. Blocks are as wide on every machine.
//! Never here: arithmetic.

use super::walk::Walk;
use super::{Accesses, Lowering, Placed, PlacedTile, rearrange::Moved};
use crate::distribution::Layout;
use crate::dtype::DType;
use crate::error::Result;
use crate::expr::{Node, View};
use crate::kernel::dense::Factor;
use crate::kernel::dense::columns::{self, DETERMINANT_PARTS, Extent, Method, Panel};
use crate::shape::Shape;
use girih_runtime::graph::Context;
use girih_runtime::ids::{BlockId, Rank};
use std::rc::Rc;
use std::sync::Arc;

/// Columns of a block.
const WIDTH: usize = 128;
/// Of smaller matrices one task makes less work.
const LENGTH_MIN: usize = 2 * WIDTH + 1;

/// Whether a matrix of this shape is factored by blocks of columns; a function of the shape alone.
pub(crate) fn takes_columns(factor: Factor, m: usize, n: usize) -> bool {
    let known =
        matches!(factor, Factor::Cholesky | Factor::Solve | Factor::Inverse | Factor::Determinant | Factor::Qr { .. });
    known && m.min(n) >= LENGTH_MIN
}

/// A matrix in blocks of columns. Block i is on rank i modulo their number.
struct Columns {
    dtype: DType,
    rows: usize,
    count: usize,
    blocks: Vec<BlockId>,
}

/// A finished panel, by what tasks elsewhere read of it.
struct Finished {
    owner: Rank,
    at: Extent,
    block: BlockId,
    notes: Option<BlockId>,
    /// The rows from the diagonal on, for other ranks.
    below: Option<BlockId>,
}

/// Which rows of a panel a task reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Below,
    Above,
}

/// A panel among the accesses of a task.
#[derive(Clone, Copy)]
struct Seen {
    at: Extent,
    held: (usize, usize),
    columns: usize,
    notes: Option<usize>,
}

impl Columns {
    fn at(&self, index: usize) -> Extent {
        let first = index * WIDTH;
        Extent { rows: self.rows, first, width: WIDTH.min(self.count - first) }
    }

    fn item(&self) -> usize {
        self.dtype.bytes()
    }

    fn bytes(&self, index: usize) -> usize {
        self.rows * self.at(index).width * self.item()
    }

    /// The matrix with its axes exchanged, whose rows are the columns.
    fn exchanged(&self) -> Shape {
        Shape::from_lengths(vec![self.count, self.rows])
    }
}

impl Seen {
    /// Calls `run` with the panel.
    fn with(self, context: &Context<'_>, run: impl FnOnce(&Panel<'_>)) {
        let Seen { at, held, .. } = self;
        let (columns, notes) = (context.read(self.columns), self.notes.map(|notes| context.read(notes)));
        run(&Panel { at, held, columns: &columns, notes: notes.as_deref().unwrap_or(&[]) });
    }
}

impl Lowering<'_> {
    /// Factors `x`, with the right-hand sides `b` of [`Factor::Solve`], into the nodes of `outputs`.
    pub(crate) fn factor_columns(
        &mut self,
        factor: Factor,
        x: &Arc<Node>,
        b: Option<&Arc<Node>>,
        outputs: &[Arc<Node>],
    ) -> Result<()> {
        self.count(&[usize::MAX]);
        let a = self.columns(x)?;
        let square = [a.rows, a.count];
        match factor {
            Factor::Cholesky => {
                self.mistakes.expect(true);
                self.panels(Method::Cholesky, &a, None, None)?;
                self.rows_of_columns(&a, a.rows, &outputs[0])
            }
            Factor::Determinant => {
                let parts = self.parts(a.blocks.len())?;
                self.panels(Method::Lu, &a, None, Some(&parts))?;
                self.determinant(a.dtype, &parts, &outputs[0])
            }
            Factor::Qr { .. } => {
                let panels = self.panels(Method::Qr, &a, None, None)?;
                let q = self.unit([a.rows, outputs[0].shape[1]], a.dtype, &panels)?;
                for index in 0..q.blocks.len() {
                    for panel in panels[..panels.len().min(index + 1)].iter().rev() {
                        self.change("rotate", &q, index, panel, Wanted::Below, columns::rotate)?;
                    }
                }
                self.rows_of_columns(&q, q.rows, &outputs[0])?;
                self.clear_below(&a)?;
                self.rows_of_columns(&a, outputs[1].shape[0], &outputs[1])
            }
            _ => {
                self.mistakes.expect(true);
                let sides = match b {
                    Some(b) => self.columns(b)?,
                    None => self.unit(square, a.dtype, &[])?,
                };
                let panels = self.panels(Method::Lu, &a, Some(&sides), None)?;
                for panel in panels.iter().rev() {
                    let above = self.above(&a, panel, &sides)?;
                    for index in 0..sides.blocks.len() {
                        self.change("substitute", &sides, index, &above, Wanted::Above, columns::substitute)?;
                    }
                }
                self.rows_of_columns(&sides, sides.rows, &outputs[0])
            }
        }
    }

    fn owner(&self, index: usize) -> Rank {
        Rank::from(index % self.world.size())
    }

    /// Blocks for a matrix's columns.
    fn blocks(&mut self, [rows, count]: [usize; 2], dtype: DType) -> Result<Columns> {
        let mut made = Columns { dtype, rows, count, blocks: Vec::new() };
        for index in 0..count.div_ceil(WIDTH) {
            let owner = self.owner(index);
            let block = self.graph().block(owner, made.bytes(index))?;
            made.blocks.push(block);
        }
        Ok(made)
    }

    /// The columns of a matrix that lies by rows.
    fn columns(&mut self, node: &Arc<Node>) -> Result<Columns> {
        let made = self.blocks([node.shape[0], node.shape[1]], node.dtype)?;
        let source = self.placed(node);
        let mut tiles = vec![Vec::new(); self.world.size()];
        for (index, &block) in made.blocks.iter().enumerate() {
            let Extent { first, width, .. } = made.at(index);
            tiles[self.owner(index).index()].push(PlacedTile { rows: first..first + width, block });
        }
        let placed = Placed { layout: Layout::Rows, bytes: node.bytes(), tiles };
        self.rearrange_placed(&source, node, &View::permuted(&node.shape, &[1, 0]), &made.exchanged(), &placed)?;
        Ok(made)
    }

    /// Brings the first rows of columns to where `node` has them.
    fn rows_of_columns(&mut self, from: &Columns, rows: usize, node: &Arc<Node>) -> Result<()> {
        let output = self.output(node)?;
        let (shape, mut moved) = (from.exchanged(), Vec::new());
        for (index, &block) in from.blocks.iter().enumerate() {
            let Extent { first, width, .. } = from.at(index);
            let mut tiles = vec![Vec::new(); self.world.size()];
            tiles[self.owner(index).index()].push(PlacedTile { rows: first..first + width, block });
            let source = Rc::new(Placed { layout: Layout::Rows, bytes: from.bytes(index), tiles });
            let there = View { row: first as isize, ..View::identity(&shape) };
            let here = View { offset: first as isize, ..View::permuted(&node.shape, &[1, 0]) };
            let walk = Walk::new(from.item(), &[width, rows], (&there, &shape), (&here, &node.shape));
            moved.push(Moved { source, walk });
        }
        self.move_all(moved, &output)
    }

    /// The unit matrix, its columns times the phases of the panels there are.
    fn unit(&mut self, shape: [usize; 2], dtype: DType, panels: &[Finished]) -> Result<Columns> {
        let made = self.blocks(shape, dtype)?;
        for index in 0..made.blocks.len() {
            let mut accesses = Accesses::default();
            let panel = panels.get(index);
            // The block of a panel's number is on the panel's rank.
            let seen = panel.map(|panel| panel.seen(&mut accesses, panel.owner, Wanted::Below));
            let target = accesses.write(made.blocks[index]);
            let (at, owner, domain) = (made.at(index), self.owner(index), self.domain_of(&made, index));
            self.graph().task("unit", owner, domain, &accesses.list, || {
                Box::new(move |context| {
                    let mut block = context.write(target);
                    match seen {
                        Some(seen) => seen.with(context, |panel| columns::unit(dtype, at, Some(panel), &mut block)),
                        None => columns::unit(dtype, at, None, &mut block),
                    }
                    Ok(())
                })
            })?;
        }
        Ok(made)
    }

    /// Finishes the panels of `a` one after the other, and changes what is behind each: of `a`, and all of `sides`.
    fn panels(
        &mut self,
        method: Method,
        a: &Columns,
        sides: Option<&Columns>,
        parts: Option<&[BlockId]>,
    ) -> Result<Vec<Finished>> {
        let count = a.rows.min(a.count).div_ceil(WIDTH);
        let mut finished = Vec::with_capacity(count);
        let update = |method| {
            move |dtype, panel: &Panel<'_>, at, block: &mut [u8]| {
                columns::update(dtype, method, panel, at, block);
            }
        };
        for index in 0..count {
            let behind = a.blocks.len() - index - 1 + sides.map_or(0, |sides| sides.blocks.len());
            let panel = self.panel(method, a, index, behind > 0, parts.map(|parts| parts[index]))?;
            for later in index + 1..a.blocks.len() {
                self.change("update", a, later, &panel, Wanted::Below, update(method))?;
            }
            for later in 0..sides.map_or(0, |sides| sides.blocks.len()) {
                let sides = sides.expect("there are blocks of it");
                self.change("update", sides, later, &panel, Wanted::Below, update(method))?;
            }
            finished.push(panel);
        }
        Ok(finished)
    }

    fn panel(
        &mut self,
        method: Method,
        a: &Columns,
        index: usize,
        is_sent: bool,
        part: Option<BlockId>,
    ) -> Result<Finished> {
        let (owner, at, item, dtype) = (self.owner(index), a.at(index), a.item(), a.dtype);
        let is_sent = is_sent && self.world.size() > 1;
        let note_bytes = method.note_bytes(item, at);
        let notes = (note_bytes > 0).then(|| self.graph().block(owner, note_bytes)).transpose()?;
        let below = is_sent.then(|| self.graph().block(owner, at.below() * at.width * item)).transpose()?;
        let mut accesses = Accesses::default();
        let target = accesses.write(a.blocks[index]);
        let [notes_to, below_to, part_to] = [notes, below, part].map(|block| block.map(|block| accesses.write(block)));
        // A determinant may well be zero.
        let mistakes = part.is_none().then(|| self.mistakes.clone());
        let domain = self.domain_of(a, index);
        self.graph().task("panel", owner, domain, &accesses.list, || {
            Box::new(move |context| {
                let mut block = context.write(target);
                let mut notes = notes_to.map(|notes| context.write(notes));
                let found = columns::panel(dtype, method, at, &mut block, notes.as_deref_mut().unwrap_or(&mut []));
                if let (Err(text), Some(mistakes)) = (found, &mistakes) {
                    mistakes.note(text.to_string());
                }
                if let Some(below) = below_to {
                    columns::copy_rows(item, at, (at.first, at.rows), &block, &mut context.write(below));
                }
                if let (Some(part), Some(notes)) = (part_to, notes) {
                    let panel = Panel { at, held: (0, at.rows), columns: &block, notes: &notes };
                    context.write(part).of_mut().copy_from_slice(&columns::determinant(dtype, &panel));
                }
                Ok(())
            })
        })?;
        Ok(Finished { owner, at, block: a.blocks[index], notes, below })
    }

    /// A task that changes a block with what it reads of a panel.
    fn change(
        &mut self,
        label: &'static str,
        target: &Columns,
        index: usize,
        panel: &Finished,
        wanted: Wanted,
        run: impl Fn(DType, &Panel<'_>, Extent, &mut [u8]) + Send + Sync + 'static,
    ) -> Result<()> {
        let (rank, at, dtype) = (self.owner(index), target.at(index), target.dtype);
        let mut accesses = Accesses::default();
        let seen = panel.seen(&mut accesses, rank, wanted);
        let block = accesses.write(target.blocks[index]);
        let domain = self.domain_of(target, index);
        self.graph()
            .task(label, rank, domain, &accesses.list, || {
                Box::new(move |context| {
                    let mut block = context.write(block);
                    seen.with(context, |panel| run(dtype, panel, at, &mut block));
                    Ok(())
                })
            })
            .map_err(Into::into)
    }

    /// A panel with its rows down to the end of the diagonal, for ranks that have right-hand sides but not the panel.
    fn above(&mut self, a: &Columns, panel: &Finished, sides: &Columns) -> Result<Finished> {
        let (at, item) = (panel.at, a.item());
        let elsewhere = (0..sides.blocks.len()).any(|index| self.owner(index) != panel.owner);
        let rows = (0, at.first + at.width);
        let copy = elsewhere.then(|| self.graph().block(panel.owner, rows.1 * at.width * item)).transpose()?;
        if let Some(copy) = copy {
            let mut accesses = Accesses::default();
            let (from, to) = (accesses.read(panel.block), accesses.write(copy));
            self.graph().task("copy", panel.owner, 0, &accesses.list, || {
                Box::new(move |context| {
                    columns::copy_rows(item, at, rows, &context.read(from), &mut context.write(to));
                    Ok(())
                })
            })?;
        }
        Ok(Finished { notes: None, below: copy, ..*panel })
    }

    fn clear_below(&mut self, a: &Columns) -> Result<()> {
        for index in 0..a.blocks.len() {
            let (at, item) = (a.at(index), a.item());
            let mut accesses = Accesses::default();
            let target = accesses.write(a.blocks[index]);
            let (owner, domain) = (self.owner(index), self.domain_of(a, index));
            self.graph().task("clear", owner, domain, &accesses.list, || {
                Box::new(move |context| {
                    columns::clear_below(item, at, &mut context.write(target));
                    Ok(())
                })
            })?;
        }
        Ok(())
    }

    /// Room for what each panel adds to a determinant.
    fn parts(&mut self, count: usize) -> Result<Vec<BlockId>> {
        let bytes = DETERMINANT_PARTS * size_of::<f64>();
        (0..count)
            .map(|index| {
                let owner = self.owner(index);
                Ok(self.graph().block(owner, bytes)?)
            })
            .collect()
    }

    /// The determinant on every rank.
    fn determinant(&mut self, dtype: DType, parts: &[BlockId], node: &Arc<Node>) -> Result<()> {
        let output = self.output(node)?;
        for rank in self.ranks() {
            let mut accesses = Accesses::default();
            let parts: Vec<usize> = parts.iter().map(|&part| accesses.read(part)).collect();
            let target = accesses.write(output.tile(rank, 0).block);
            self.graph().task("determinant", rank, 0, &accesses.list, || {
                Box::new(move |context| {
                    let parts: Vec<f64> = parts.iter().flat_map(|&part| context.read(part).of().to_vec()).collect();
                    columns::whole_determinant(dtype, &parts, &mut context.write(target));
                    Ok(())
                })
            })?;
        }
        Ok(())
    }

    fn domain_of(&self, columns: &Columns, index: usize) -> usize {
        let ranks = self.world.size();
        self.domain(self.owner(index), index / ranks, columns.blocks.len().div_ceil(ranks))
    }
}

impl Finished {
    /// Reads the panel in a task of `rank`: its block where that is, else the copy of the rows that are needed.
    fn seen(&self, accesses: &mut Accesses, rank: Rank, wanted: Wanted) -> Seen {
        let at = self.at;
        let copy = self.below.filter(|_| rank != self.owner);
        let held = match wanted {
            _ if copy.is_none() => (0, at.rows),
            Wanted::Below => (at.first, at.rows),
            Wanted::Above => (0, at.first + at.width),
        };
        let columns = accesses.read(copy.unwrap_or(self.block));
        Seen { at, held, columns, notes: self.notes.map(|notes| accesses.read(notes)) }
    }
}

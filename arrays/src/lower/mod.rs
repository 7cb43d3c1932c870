//! From expressions to tasks on tiles.
//!
//! One [`Lowering`] records one graph; all ranks make the same calls in the same order, from what all of them
//! know. Each node that is to be kept becomes blocks: one for each tile, or one on each rank.
//! Never here: which nodes are kept, and when the graph runs.

mod alone;
mod columns;
mod contract;
mod custom;
mod direct;
mod folding;
mod machine;
mod map;
mod mistakes;
mod program;
mod rearrange;
mod reduce;
mod scan;
mod tall;
mod tree;
mod walk;
mod window;

pub(crate) use columns::takes_columns;
pub(crate) use direct::direct;

use crate::distribution::{Layout, RowDistribution};
use crate::error::{Error, Result};
use crate::expr::{Node, Recorded, View};
use crate::tile::Part;
use girih_runtime::graph::{Access, GraphBuilder};
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::world::World;
pub(crate) use rearrange::write_whole;

use mistakes::Mistakes;
use program::Fused;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// The effort that fits into the way to a worker and back, 0.1 ms, in sixteenths of a nanosecond.
const SWITCHES: usize = 1_600_000;
/// A single worker gains nothing. Beyond this effort, 1 ms, its own core is worth the way.
const ALONE_MAX: usize = 16_000_000;
/// Of an element that changes its place.
const MOVE_EFFORT: usize = 32;
/// Of an element of running results.
const SCAN_EFFORT: usize = 16;

/// The blocks of an array in a graph, by rank and tile.
#[derive(Debug)]
pub(crate) struct Placed {
    layout: Layout,
    /// Bytes of the whole array.
    bytes: usize,
    tiles: Vec<Vec<PlacedTile>>,
}

#[derive(Clone, Debug)]
struct PlacedTile {
    rows: Range<usize>,
    block: BlockId,
}

/// Records the tasks of an evaluation.
pub(crate) struct Lowering<'w> {
    world: &'w World,
    graph: Option<GraphBuilder>,
    placed: HashMap<*const Node, Rc<Placed>>,
    gathered: HashMap<*const Node, Rc<Placed>>,
    /// Nodes that have a value when the graph has run.
    outputs: Vec<(Arc<Node>, Part)>,
    mistakes: Mistakes,
    /// Roughly how long all tasks of a rank take together, in sixteenths of a nanosecond.
    effort: usize,
    /// Whether nothing larger than small values may be computed while recording.
    only_records: bool,
}

/// A lowered evaluation.
pub(crate) struct Lowered {
    /// The graph, if tasks are needed.
    pub(crate) graph: Option<GraphBuilder>,
    /// The nodes whose values the graph brings.
    pub(crate) outputs: Vec<(Arc<Node>, Part)>,
    /// What its tasks find wrong.
    pub(crate) mistakes: Mistakes,
}

impl<'w> Lowering<'w> {
    pub(crate) fn new(world: &'w World) -> Lowering<'w> {
        Lowering {
            world,
            graph: None,
            placed: HashMap::new(),
            gathered: HashMap::new(),
            outputs: Vec::new(),
            mistakes: Mistakes::default(),
            effort: 0,
            only_records: false,
        }
    }

    /// As `new`, for a graph that is looked at and not run.
    pub(crate) fn only_recording(world: &'w World) -> Lowering<'w> {
        Lowering { only_records: true, ..Lowering::new(world) }
    }

    /// What was recorded.
    pub(crate) fn finish(mut self) -> Lowered {
        if self.is_brief() {
            self.graph.iter_mut().for_each(GraphBuilder::brief);
        }
        Lowered { graph: self.graph, outputs: self.outputs, mistakes: self.mistakes }
    }

    /// Gives a node a value: at once if all it needs is here on every rank, else when the graph has run.
    /// `kept` tells which nodes have values of their own; those below have been lowered before.
    ///
    /// # Errors
    /// Local: `Error::Runtime` for memory. Replicated: `Error::Shape` for values that are found wrong at once.
    pub(crate) fn node(&mut self, node: &Arc<Node>, kept: &dyn Fn(&Arc<Node>) -> bool) -> Result<()> {
        let Some(record) = node.record() else { return Ok(()) };
        match &*record {
            Recorded::Fill(_) | Recorded::Sequence { .. } | Recorded::Map { .. } => {
                let fused = Fused::new(node, |inner| !Arc::ptr_eq(inner, node) && kept(inner));
                self.count(&[node.shape.elements(), fused.program.effort()]);
                self.map(node, fused)
            }
            Recorded::Reduce { reduction, input } => {
                let fused = Fused::new(input, kept);
                self.count(&[input.shape.elements(), fused.program.effort()]);
                self.reduce(node, reduction, input, fused)
            }
            Recorded::Product { lhs, rhs, m, k, n } => {
                self.count(&[*m, *k, *n]);
                self.product(node, lhs, rhs, [*m, *k, *n])
            }
            Recorded::Across { x, y } => {
                self.count(&[x.shape.elements(), y.shape.row_elements()]);
                self.across(node, x, y)
            }
            Recorded::Scan { fold, axis, input } => {
                self.count(&[input.shape.elements(), SCAN_EFFORT]);
                self.scan(node, *fold, *axis, input)
            }
            Recorded::Custom { kernel, aligned, inputs } => {
                self.count(&[usize::MAX]);
                self.custom(node, kernel, *aligned, inputs)
            }
            Recorded::View { input, view } => {
                self.count(&[node.shape.elements(), MOVE_EFFORT]);
                self.rearrange(node, input, view)
            }
            Recorded::Join { pieces } => {
                self.count(&[node.shape.elements(), MOVE_EFFORT]);
                self.join(node, pieces)
            }
        }
    }

    /// Whether the thread that asks for a value would have computed it before workers could give it: they begin later,
    /// and are as many times faster as there are of them.
    fn is_brief(&self) -> bool {
        self.effort
            <= match self.world.workers() {
                1 => ALONE_MAX,
                workers => SWITCHES * workers / (workers - 1),
            }
    }

    /// Adds to the effort of all ranks together, which is a product of these.
    fn count(&mut self, factors: &[usize]) {
        let effort = factors.iter().fold(1, |all: usize, &factor| all.saturating_mul(factor));
        self.effort = self.effort.saturating_add(effort / self.world.size());
    }

    /// Brings rows from where each rank has them, in `part`, to where `node` has them.
    ///
    /// # Errors
    /// Local: `Error::Runtime` for memory.
    pub(crate) fn distribute(
        &mut self,
        node: &Arc<Node>,
        rows: &[Range<usize>],
        row_bytes: usize,
        part: &Part,
    ) -> Result<()> {
        let me = self.world.rank();
        self.count(&[node.shape.elements(), MOVE_EFFORT]);
        let mut tiles = Vec::with_capacity(rows.len());
        for (rank, rows) in self.ranks().zip(rows) {
            let cell = (rank == me).then(|| Arc::clone(&part.tiles()[0].cell));
            let block = self.graph().bind(rank, rows.len() * row_bytes, cell);
            tiles.push(vec![PlacedTile { rows: rows.clone(), block }]);
        }
        let source = Rc::new(Placed { layout: Layout::Rows, bytes: node.bytes(), tiles });
        let output = self.output(node)?;
        self.rearrange_placed(&source, node, &View::identity(&node.shape), &node.shape, &output)
    }

    /// The value of a node that is whole and there on every rank, with no graph needed for it.
    fn whole_now(&self, node: &Arc<Node>) -> Option<Arc<Part>> {
        node.part().filter(|part| part.layout() == Layout::Replicated)
    }

    fn all_whole_now(&self, nodes: &[Arc<Node>]) -> Option<Vec<Arc<Part>>> {
        nodes.iter().map(|node| self.whole_now(node)).collect()
    }

    /// Computes a replicated value in the calling thread.
    fn at_once(&self, node: &Arc<Node>, compute: impl FnOnce(&mut [u8], &Mistakes)) -> Result<()> {
        let part = Part::replicated(self.world.memory(), node.shape.rows(), node.bytes())?;
        let mistakes = Mistakes::default();
        compute(&mut part.tiles()[0].cell.write(), &mistakes);
        mistakes.take().map_or(Ok(()), |text| Err(Error::Shape(text)))?;
        node.set(part);
        Ok(())
    }

    fn ranks(&self) -> impl Iterator<Item = Rank> + use<> {
        (0..self.world.size()).map(Rank::from)
    }

    fn graph(&mut self) -> &mut GraphBuilder {
        self.graph.get_or_insert_with(|| self.world.graph("evaluate"))
    }

    fn distribution(&self, rows: usize) -> RowDistribution {
        RowDistribution::new(rows, self.world.size(), self.world.config().tile_bytes)
    }

    /// The NUMA domain that a tile belongs to.
    fn domain(&self, rank: Rank, tile: usize, tiles: usize) -> usize {
        if rank == self.world.rank() { self.world.domain_of_tile(tile, tiles) } else { 0 }
    }

    /// The blocks of a node that has a value or was lowered.
    fn placed(&mut self, node: &Arc<Node>) -> Rc<Placed> {
        if let Some(placed) = self.placed.get(&Arc::as_ptr(node)) {
            return Rc::clone(placed);
        }
        let part = node.part().expect("an operand has a value or was lowered before");
        let placed = Rc::new(self.bind(node, &part));
        self.placed.insert(Arc::as_ptr(node), Rc::clone(&placed));
        placed
    }

    /// The blocks of a node on every rank; gathers rows that are spread.
    fn whole(&mut self, node: &Arc<Node>) -> Result<Rc<Placed>> {
        let placed = self.placed(node);
        if placed.layout == Layout::Replicated {
            return Ok(placed);
        }
        if let Some(gathered) = self.gathered.get(&Arc::as_ptr(node)) {
            return Ok(Rc::clone(gathered));
        }
        let gathered = Rc::new(self.temporary_whole(node.shape.rows(), node.bytes())?);
        self.rearrange_placed(&placed, node, &View::identity(&node.shape), &node.shape, &gathered)?;
        self.gathered.insert(Arc::as_ptr(node), Rc::clone(&gathered));
        Ok(gathered)
    }

    /// Room for a node's value.
    fn output(&mut self, node: &Arc<Node>) -> Result<Rc<Placed>> {
        let (rows, memory) = (node.shape.rows(), self.world.memory());
        let part = match node.layout {
            Layout::Replicated => Part::replicated(memory, rows, node.bytes())?,
            Layout::Rows => {
                let row_bytes = node.shape.row_elements() * node.dtype.bytes();
                Part::rows(memory, &self.distribution(rows), self.world.rank(), row_bytes)?
            }
        };
        Ok(self.bind_output(node, part))
    }

    fn bind_output(&mut self, node: &Arc<Node>, part: Part) -> Rc<Placed> {
        let placed = Rc::new(self.bind(node, &part));
        self.placed.insert(Arc::as_ptr(node), Rc::clone(&placed));
        self.outputs.push((Arc::clone(node), part));
        placed
    }

    /// Computes a node's rows by `record`, into its own blocks or, if it is to be whole, into others that are
    /// then gathered.
    fn by_rows(
        &mut self,
        node: &Arc<Node>,
        record: impl FnOnce(&mut Self, &RowDistribution, &Placed) -> Result<()>,
    ) -> Result<()> {
        let distribution = self.distribution(node.shape.rows());
        let output = self.output(node)?;
        if output.layout == Layout::Rows {
            return record(self, &distribution, &output);
        }
        let spread = self.temporary_rows(&distribution, node.shape.row_elements() * node.dtype.bytes())?;
        let spread = Rc::new(spread);
        record(self, &distribution, &spread)?;
        self.rearrange_placed(&spread, node, &View::identity(&node.shape), &node.shape, &output)
    }

    fn bind(&mut self, node: &Arc<Node>, part: &Part) -> Placed {
        let (me, layout) = (self.world.rank(), part.layout());
        let distribution = self.distribution(node.shape.rows());
        let row_bytes = node.shape.row_elements() * node.dtype.bytes();
        let mut tiles = Vec::with_capacity(self.world.size());
        for rank in self.ranks() {
            let rows: Vec<(Range<usize>, usize)> = match layout {
                Layout::Replicated => vec![(0..node.shape.rows(), node.bytes())],
                Layout::Rows => {
                    rows_of_tiles(&distribution, rank).map(|rows| (rows.clone(), rows.len() * row_bytes)).collect()
                }
            };
            let bound = rows.into_iter().enumerate().map(|(index, (rows, bytes))| {
                let cell = (rank == me).then(|| Arc::clone(&part.tiles()[index].cell));
                PlacedTile { rows, block: self.graph().bind(rank, bytes, cell) }
            });
            let bound = bound.collect();
            tiles.push(bound);
        }
        Placed { layout, bytes: node.bytes(), tiles }
    }

    fn temporary_rows(&mut self, distribution: &RowDistribution, row_bytes: usize) -> Result<Placed> {
        let mut tiles = Vec::with_capacity(self.world.size());
        for rank in self.ranks() {
            let rows = rows_of_tiles(distribution, rank);
            let made = rows.map(|rows| {
                let block = self.graph().block(rank, rows.len() * row_bytes)?;
                Ok(PlacedTile { rows, block })
            });
            tiles.push(made.collect::<Result<Vec<_>>>()?);
        }
        Ok(Placed { layout: Layout::Rows, bytes: distribution.rows() * row_bytes, tiles })
    }

    fn temporary_whole(&mut self, rows: usize, bytes: usize) -> Result<Placed> {
        let made = self.ranks().map(|rank| {
            let block = self.graph().block(rank, bytes)?;
            Ok(vec![PlacedTile { rows: 0..rows, block }])
        });
        Ok(Placed { layout: Layout::Replicated, bytes, tiles: made.collect::<Result<Vec<_>>>()? })
    }
}

impl Placed {
    /// The block that holds a tile's rows on its rank: the tile's own, or the whole.
    fn tile(&self, rank: Rank, tile: usize) -> &PlacedTile {
        match self.layout {
            Layout::Replicated => &self.tiles[rank.index()][0],
            Layout::Rows => &self.tiles[rank.index()][tile],
        }
    }
}

/// The accesses of a task, each block once, and where each operand is among them.
#[derive(Default)]
struct Accesses {
    list: Vec<Access>,
}

impl Accesses {
    fn read(&mut self, block: BlockId) -> usize {
        let access = Access::Read(block);
        let found = self.list.iter().position(|known| *known == access);
        found.unwrap_or_else(|| {
            self.list.push(access);
            self.list.len() - 1
        })
    }

    fn write(&mut self, block: BlockId) -> usize {
        self.list.push(Access::Write(block));
        self.list.len() - 1
    }
}

fn rows_of_tiles(distribution: &RowDistribution, rank: Rank) -> impl Iterator<Item = Range<usize>> + use<> {
    let distribution = *distribution;
    (0..distribution.tiles_of(rank)).map(move |tile| distribution.rows_of_tile(rank, tile))
}

//! Distances of rows to all centres.

use crate::error::Result;
use crate::observations::Observations;
use crate::scratch::Scratches;
use crate::tile::Rows;
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{Real, all_distances, all_sparse_distances};
use girih_runtime::fingerprint::Fingerprint;
use girih_runtime::graph::Access::{Read, Write};
use girih_runtime::graph::Graph;
use girih_runtime::ids::BlockId;
use std::sync::Arc;

impl<T: Real + Element + Default> Observations<T> {
    /// The distance of each of this rank's rows to each of these centres, k×d in C order: rows by k, in order.
    ///
    /// Cost: 3·n·k·d flops over all ranks; an agreement, no other message.
    ///
    /// # Errors
    /// Replicated: `Error::Value` if the centres do not fit the columns. As the runtime's otherwise.
    pub fn distances(&self, centres: &[T]) -> Result<Vec<T>> {
        let clusters = self.clusters_of(centres)?;
        let made = self.distances_graph(centres, clusters);
        let (graph, blocks) = self.agreed(made, |(graph, _)| vec![&**graph])?;
        self.world().run_again(&graph)?;
        let mut all = Vec::with_capacity(blocks.len());
        blocks.iter().for_each(|&block| all.extend_from_slice(graph.cell(block).read().of::<T>()));
        Ok(all)
    }

    fn distances_graph(&self, centres: &[T], clusters: usize) -> Result<(Arc<Graph>, Vec<BlockId>)> {
        let world = self.world();
        let (rank, columns, tiles) = (world.rank(), self.columns(), self.tiles());
        let mut graph = world.graph("distances");
        let what = format!("{clusters} centres of {} {:?}", T::DTYPE, [self.rows(), columns]);
        graph.describe(&what, Fingerprint::default().bytes(bytemuck::cast_slice(centres)));
        let (centres, scratches) = (Arc::new(centres.to_vec()), Scratches::new());
        let mut blocks = Vec::with_capacity(tiles.len());
        for (index, tile) in tiles.iter().enumerate() {
            let rows = graph.bind(rank, tile.cell.bytes(), Some(Arc::clone(&tile.cell)));
            let out = graph.block(rank, tile.rows.len() * clusters * size_of::<T>())?;
            blocks.push(out);
            let domain = world.domain_of_tile(index, tiles.len());
            let (tile, centres, scratches) = (tile.clone(), Arc::clone(&centres), scratches.clone());
            graph.task("distances", rank, domain, &[Read(rows), Write(out)], || {
                Box::new(move |context| {
                    let (rows, mut out) = (context.read(0), context.write(1));
                    let out = out.of_mut::<T>();
                    tile.with_rows(rows.of::<T>(), |rows| match rows {
                        Rows::Dense(rows) => {
                            scratches.lend(|scratch| all_distances((rows, columns), &centres, out, scratch));
                        }
                        Rows::Sparse(rows) => all_sparse_distances((&rows, columns), &centres, out),
                    });
                    Ok(())
                })
            })?;
        }
        Ok((Arc::new(graph.finish()?), blocks))
    }
}

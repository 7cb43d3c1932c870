//! Distances of rows to all centres, or to their own; the means of labelled rows.

use crate::centroids::means_or;
use crate::epoch::{Epoch, Keeps, Mode};
use crate::error::Result;
use crate::model::Model;
use crate::observations::Observations;
use crate::scratch::Scratches;
use crate::tile::Rows;
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{Real, Scale, all_distances, all_sparse_distances, distances, sparse_distances};
use girih_runtime::fingerprint::Fingerprint;
use girih_runtime::graph::Access::{Read, Write};
use girih_runtime::graph::Graph;
use girih_runtime::ids::BlockId;
use std::collections::HashMap;
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

    /// The distance of each of this rank's rows to the centre of its label, and the mean over all ranks' rows.
    ///
    /// Cost: 3·n·d flops over all ranks; two control messages of a few words.
    ///
    /// # Errors
    /// As the runtime's.
    pub fn own_distances(&self, model: &Model<T>) -> Result<(Vec<f64>, f64)> {
        let apart = self.settled(self.own_apart(model))?;
        // Summed as integers, so that the mean has the same bits on any number of ranks.
        let largest = apart.iter().copied().fold(0.0, f64::max);
        let told = self.world().all_gather_bytes(largest.to_ne_bytes().to_vec())?;
        let numbers = told.iter().flat_map(|part| part.as_chunks().0).map(|&bytes| f64::from_ne_bytes(bytes));
        let scale = Scale::new(numbers.fold(0.0, f64::max), self.rows() as u64);
        let mut sum = [0; 2];
        apart.iter().for_each(|&distance| scale.add(&mut sum, distance));
        let told = self.world().all_gather_bytes(sum.map(i64::to_ne_bytes).concat())?;
        let words = told.iter().flat_map(|part| part.as_chunks().0).map(|&bytes| i64::from_ne_bytes(bytes));
        let words: Vec<i64> = words.collect();
        let total: i128 = words.as_chunks().0.iter().map(|&words| scale.total(words)).sum();
        Ok((apart, scale.value_of_total(total) / self.rows() as f64))
    }

    fn own_apart(&self, model: &Model<T>) -> Result<Vec<f64>, String> {
        let centred = self.centred(&model.centres);
        let mut apart = Vec::new();
        for (tile, labels) in self.tiles().iter().zip(&model.labels) {
            let labels = labels.cell.read();
            let labels = labels.of::<i32>();
            let mut squares = vec![0.0; labels.len()];
            tile.lend(|rows| match rows {
                Rows::Dense(rows) => distances(rows, self.origin(), &centred, labels, &mut squares),
                Rows::Sparse(rows) => sparse_distances(&rows, &centred, self.columns(), labels, &mut squares),
            })?;
            apart.extend(squares.into_iter().map(f64::sqrt));
        }
        Ok(apart)
    }

    /// One step without relocation: the labels of the rows, and the means of each label's rows with their number.
    ///
    /// A centre without rows stays where it is. Cost: as an iteration of `lloyd`, and an agreement.
    ///
    /// # Errors
    /// As `assign`.
    pub fn update(&self, centres: &[T]) -> Result<(Model<T>, Vec<T>, Vec<i64>)> {
        let (clusters, centred) = (self.clusters_of(centres)?, self.centred(centres));
        let plan = Fingerprint::default().bytes(bytemuck::cast_slice(centres));
        let made = Epoch::new(self, &[(clusters, Keeps::NOTHING)], plan, false);
        let epoch = self.agreed(made, |epoch| vec![epoch.graph()])?;
        let sums = epoch.run(self, &centred, Mode::WHOLE)?;
        let means = self.shifted(&means_or(&centred, self.columns(), self.fixed(), &sums.words));
        let model = self.model(epoch.labels(0).to_vec(), &centred, sums.known_inertia(), 0, &sums.counts);
        Ok((Model { centres: centres.to_vec(), ..model }, means, sums.counts))
    }

    fn distances_graph(&self, centres: &[T], clusters: usize) -> Result<(Arc<Graph>, Vec<BlockId>)> {
        let world = self.world();
        let (rank, columns, tiles) = (world.rank(), self.columns(), self.tiles());
        let mut graph = world.graph("distances");
        let what = format!("{clusters} centres of {} {:?}", T::DTYPE, [self.rows(), columns]);
        graph.describe(&what, Fingerprint::default().bytes(bytemuck::cast_slice(centres)));
        let (centres, scratches) = (Arc::new(centres.to_vec()), Scratches::new());
        let (mut blocks, mut bound) = (Vec::with_capacity(tiles.len()), HashMap::new());
        for (index, tile) in tiles.iter().enumerate() {
            let out = graph.block(rank, tile.rows.len() * clusters * size_of::<T>())?;
            blocks.push(out);
            let mut accesses = vec![Write(out)];
            for cell in tile.cells() {
                let bind = || graph.bind(rank, cell.bytes(), Some(Arc::clone(cell)));
                accesses.push(Read(*bound.entry(Arc::as_ptr(cell)).or_insert_with(bind)));
            }
            let domain = world.domain_of_tile(index, tiles.len());
            let (tile, centres, scratches) = (tile.clone(), Arc::clone(&centres), scratches.clone());
            graph.task("distances", rank, domain, &accesses, || {
                Box::new(move |context| {
                    let mut out = context.write(0);
                    let out = out.of_mut::<T>();
                    tile.lend(|rows| match rows {
                        Rows::Dense(rows) => {
                            scratches.lend(|scratch| all_distances((rows, columns), &centres, out, scratch));
                        }
                        Rows::Sparse(rows) => all_sparse_distances((&rows, columns), &centres, out),
                    })
                })
            })?;
        }
        Ok((Arc::new(graph.finish()?), blocks))
    }
}

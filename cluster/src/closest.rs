//! What is known of a tile's rows while centres are chosen one by one: how far the closest centre is, and which it is.
//!
//! Of dense rows in memory that are long enough a sketch is kept, by which most rows need not be read, and the rows to
//! which the last candidates came near, so that the chosen one need not be measured again.
//! Invariant: neither shows in results, so each tile decides for itself whether they pay.
//! Never here: messages, which candidates there are.

use crate::observations::{Form, Observations};
use crate::tile::{Rows, Tile};
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{
    Hits, NO_CENTRE, Near, Real, SKETCH_COLUMNS_MAX, SKETCH_COLUMNS_MIN, Scale, Scratch, Sketch,
    lower_and_measure_near, lower_closest, measure_hits, sparse_lower_closest, sparse_potentials,
};
use girih_runtime::error::Result;
use girih_runtime::memory::BlockCell;
use std::sync::{Arc, Mutex, PoisonError};

/// What a step of the search asks of each tile.
pub(crate) struct Step<T> {
    pub(crate) newest: Vec<T>,
    /// Which of the last step's candidates the newest centre was.
    pub(crate) chosen: Option<usize>,
    /// For each centre the squared distance to the nearest of the candidates, and of the newest centre if it is older.
    pub(crate) apart: Vec<f64>,
    pub(crate) candidates: Vec<T>,
    pub(crate) scale: Scale,
    /// There are more centres than candidates, so most pairs of row and candidate are farther apart than the closest.
    pub(crate) late: bool,
}

/// What is kept of a tile's rows.
#[derive(Clone)]
pub(crate) struct Closest {
    /// The squared distances to the closest centres.
    pub(crate) distances: Arc<BlockCell>,
    /// The numbers of these centres.
    nearest: Arc<BlockCell>,
    aid: Option<Aid>,
}

/// What spares the reading of rows.
#[derive(Clone)]
struct Aid {
    candidates: usize,
    sketch: Arc<BlockCell>,
    hits: Arc<BlockCell>,
    effort: Arc<Mutex<Effort>>,
}

/// Whether it pays.
#[derive(Default)]
struct Effort {
    drawn_up: bool,
    /// Steps for which it is left alone, and those for which it was when it last did not pay.
    rest: u32,
    last_rest: u32,
}

impl Closest {
    /// For all tiles, before the first centre; `candidates` of a step.
    ///
    /// # Errors
    /// Local: `Error::Memory`, if what every row needs is not there; a sketch is left out then.
    pub(crate) fn of_tiles<T: Real + Element + Default>(
        observations: &Observations<T>,
        candidates: usize,
    ) -> Result<Vec<Closest>> {
        let memory = observations.world().memory();
        let columns = observations.columns();
        let tiles = observations.tiles();
        let plain = tiles.iter().map(|tile| {
            let distances = memory.block(tile.rows.len() * size_of::<f64>())?;
            distances.write().of_mut::<f64>().fill(f64::INFINITY);
            let nearest = memory.block(tile.rows.len() * size_of::<u32>())?;
            nearest.write().of_mut::<u32>().fill(NO_CENTRE);
            Ok(Closest { distances, nearest, aid: None })
        });
        let mut all: Vec<Closest> = plain.collect::<Result<_>>()?;
        let bytes = |tile: &Tile| {
            let sketch = Sketch::memory_len(tile.rows.len(), columns) * size_of::<u32>();
            (sketch, Hits::memory_len(tile.rows.len(), candidates) * size_of::<u64>())
        };
        let needed: usize = tiles.iter().map(|tile| bytes(tile).0 + bytes(tile).1).sum();
        let long = (SKETCH_COLUMNS_MIN..=SKETCH_COLUMNS_MAX).contains(&columns);
        if observations.form == Form::Dense && long && needed <= memory.bytes_left() / 2 {
            for (closest, tile) in all.iter_mut().zip(tiles) {
                let (sketch, hits) = bytes(tile);
                let (Ok(sketch), Ok(hits)) = (memory.block(sketch), memory.block(hits)) else { break };
                hits.write().of_mut::<u64>()[0] = 0;
                closest.aid = Some(Aid { candidates, sketch, hits, effort: Arc::default() });
            }
        }
        Ok(all)
    }

    /// Takes the newest centre into the closest distances, `closest`, and adds the potential that each candidate would
    /// leave then to `potentials`; the largest distance that remains.
    pub(crate) fn measure<T: Real + Default>(
        &self,
        (rows, origin): (&Rows<T>, &[T]),
        step: &Step<T>,
        (closest, weights): (&mut [f64], Option<&[T]>),
        potentials: &mut [i64],
        scratch: &mut Scratch<T>,
    ) -> f64 {
        let rows = match rows {
            Rows::Dense(rows) => rows,
            Rows::Sparse(rows) => {
                let largest = sparse_lower_closest(rows, &step.newest, closest);
                let columns = step.newest.len();
                sparse_potentials((rows, columns), &step.candidates, (&*closest, weights), &step.scale, potentials);
                return largest;
            }
        };
        // Only one task at a time looks at what is kept of a tile.
        let mut nearest = self.nearest.write();
        let nearest = nearest.of_mut();
        if let Some(aid) = &self.aid {
            let near = (&mut closest[..], &mut nearest[..]);
            if let Some(largest) = aid.measure((rows, origin), step, near, weights, potentials, scratch) {
                return largest;
            }
        }
        let newest = step.apart.len().saturating_sub(1) as u32;
        let near = Near { nearest, newest, apart: &step.apart };
        let rows = (*rows, origin, &step.newest[..]);
        lower_and_measure_near(rows, &step.candidates, (closest, weights), near, &step.scale, potentials, scratch)
    }

    /// Takes the newest centre into a copy of the closest distances.
    pub(crate) fn lower<T: Real>(&self, rows: &Rows<T>, step: &Step<T>, closest: &mut [f64], scratch: &mut Scratch<T>) {
        match rows {
            Rows::Sparse(rows) => {
                sparse_lower_closest(rows, &step.newest, closest);
            }
            Rows::Dense(rows) => {
                let taken = self.aid.as_ref().is_some_and(|aid| aid.take_hits(step, closest, |_| {}));
                if !taken {
                    lower_closest(rows, &step.newest, closest, scratch);
                }
            }
        }
    }
}

impl Aid {
    /// As `Closest::measure`, if it pays.
    fn measure<T: Real + Default>(
        &self,
        (rows, origin): (&[T], &[T]),
        step: &Step<T>,
        (closest, nearest): (&mut [f64], &mut [u32]),
        weights: Option<&[T]>,
        potentials: &mut [i64],
        scratch: &mut Scratch<T>,
    ) -> Option<f64> {
        let mut effort = self.effort.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = effort.rest > 0;
        effort.rest = effort.rest.saturating_sub(1);
        if !step.late || rests {
            self.with_hits(closest.len(), |hits| hits.forget());
            return None;
        }
        let newest = (step.apart.len() - 1) as u32;
        if !self.take_hits(step, closest, |row| nearest[row] = newest) {
            let before = closest.to_vec();
            lower_closest(rows, &step.newest, closest, scratch);
            let lowered = closest.iter().zip(&before).zip(nearest.iter_mut());
            lowered.filter(|((now, before), _)| now < before).for_each(|(_, nearest)| *nearest = newest);
        }
        let (count, columns) = (closest.len(), origin.len());
        if !effort.drawn_up {
            Sketch::draw_up((rows, origin), self.sketch.write().of_mut());
            effort.drawn_up = true;
        }
        let sketch = self.sketch.borrow();
        let sketch = Sketch::drawn_up(count, columns, sketch.of());
        let found = self.with_hits(count, |hits| {
            let (rows, closest) = ((rows, origin, &sketch), (&*closest, weights));
            let (near, sums) = ((&*nearest, &step.apart[..]), (&step.scale, potentials));
            measure_hits(rows, &step.candidates, closest, near, sums, hits, scratch)
        });
        if found.is_none() {
            effort.last_rest = (2 * effort.last_rest).max(2);
            effort.rest = effort.last_rest;
        }
        found
    }

    /// Lowers distances by the hits of the chosen candidate, if they are known, and tells which.
    fn take_hits<T>(&self, step: &Step<T>, closest: &mut [f64], mut tell: impl FnMut(usize)) -> bool {
        self.with_hits(closest.len(), |hits| {
            let Some((rows, distances)) = step.chosen.and_then(|chosen| hits.of(chosen)) else { return false };
            for (&row, &distance) in rows.iter().zip(distances) {
                closest[row as usize] = distance;
                tell(row as usize);
            }
            true
        })
    }

    fn with_hits<R>(&self, rows: usize, body: impl FnOnce(&mut Hits) -> R) -> R {
        let mut memory = self.hits.write();
        body(&mut Hits::within(memory.of_mut(), rows, self.candidates))
    }
}

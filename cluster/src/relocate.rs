//! Gives empty clusters the rows that lie farthest from their centres, as scikit-learn does.
//!
//! Rare, so it takes control messages of its own. Ties go to the lowest row.

use crate::error::Result;
use crate::model::Labels;
use crate::observations::Observations;
use crate::tile::Rows;
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{Layout, Real, Row, distances, sparse_distances};

/// A row far from its centre.
struct Far {
    distance: f64,
    row: u64,
    label: usize,
    weight: f64,
}

/// Moves a row into each cluster without weight of the summed words; labels stay as they are.
///
/// Nothing moves if no row lies apart from its centre. The distances are those to `centres`, to which rows were
/// assigned. Cost: nothing without empty clusters; else one read of the data and two control messages.
pub(crate) fn relocate<T: Real + Element + Default>(
    observations: &Observations<T>,
    labels: &[Labels],
    centres: &[T],
    words: &mut [i64],
) -> Result<()> {
    let (columns, fixed) = (observations.columns(), observations.fixed());
    let layout = Layout::new(centres.len() / columns, fixed);
    let clusters = centres.len() / columns;
    let empty: Vec<usize> = (0..clusters).filter(|&cluster| layout.weight(fixed, words, cluster) == 0).collect();
    if empty.is_empty() {
        return Ok(());
    }
    let mine = observations.settled(farthest(observations, labels, centres, empty.len()))?;
    let pack = |far: &Far| {
        [far.distance.to_bits(), far.row, far.label as u64, far.weight.to_bits()].map(u64::to_ne_bytes).concat()
    };
    let parts = observations.world().all_gather_bytes(mine.iter().flat_map(pack).collect())?;
    let word = |entry: &[u8], at: usize| u64::from_ne_bytes(entry[8 * at..8 * at + 8].try_into().expect("eight bytes"));
    let mut all: Vec<Far> = parts
        .iter()
        .flat_map(|part| part.chunks_exact(32))
        .map(|entry| Far {
            distance: f64::from_bits(word(entry, 0)),
            row: word(entry, 1),
            label: word(entry, 2) as usize,
            weight: f64::from_bits(word(entry, 3)),
        })
        .collect();
    keep_farthest(&mut all, empty.len());
    if all.first().is_none_or(|far| far.distance == 0.0) {
        return Ok(());
    }
    let indices: Vec<usize> = all.iter().map(|far| far.row as usize).collect();
    let rows = observations.rows_at(&indices)?;
    for ((cluster, far), values) in empty.into_iter().zip(&all).zip(rows.chunks_exact(columns)) {
        let row = Row { values, origin: observations.origin(), weight: far.weight };
        layout.take_row(fixed, words, far.label, row);
        layout.add_row(fixed, words, cluster, row);
    }
    Ok(())
}

/// The farthest of this rank's rows.
fn farthest<T: Real + Element + Default>(
    observations: &Observations<T>,
    labels: &[Labels],
    centres: &[T],
    count: usize,
) -> Result<Vec<Far>, String> {
    let mut far = Vec::new();
    for (tile, labels) in observations.tiles().iter().zip(labels) {
        let labels = labels.cell.read();
        let labels = labels.of::<i32>();
        let mut apart = vec![0.0; labels.len()];
        tile.lend(|rows| match rows {
            Rows::Dense(rows) => distances(rows, observations.origin(), centres, labels, &mut apart),
            Rows::Sparse(rows) => sparse_distances(&rows, centres, observations.columns(), labels, &mut apart),
        })?;
        let weights = tile.weights.as_ref().map(|weights| weights.cell.read());
        let weights = weights.as_ref().map(|cell| tile.weights_of(cell.of::<T>()));
        far.extend(labels.iter().zip(apart).enumerate().map(|(at, (&label, distance))| Far {
            distance,
            row: (tile.rows.start + at) as u64,
            label: label as usize,
            weight: weights.map_or(1.0, |weights| weights[at].widen()),
        }));
        keep_farthest(&mut far, count);
    }
    Ok(far)
}

fn keep_farthest(far: &mut Vec<Far>, count: usize) {
    far.sort_by(|a, b| b.distance.total_cmp(&a.distance).then(a.row.cmp(&b.row)));
    far.truncate(count);
}

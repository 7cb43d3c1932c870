//! Gives empty clusters the rows that lie farthest from their centres, as scikit-learn does.
//!
//! Rare, so it takes control messages of its own. Ties go to the lowest row.

use crate::error::Result;
use crate::model::Labels;
use crate::observations::Observations;
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{Layout, Real, distances};

/// A row far from its centre.
struct Far {
    distance: f64,
    row: u64,
    label: usize,
}

/// Moves a row into each empty cluster of the summed words; labels stay as they are.
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
    let counts = &words[layout.counts()];
    let empty: Vec<usize> = (0..counts.len()).filter(|&cluster| counts[cluster] == 0).collect();
    if empty.is_empty() {
        return Ok(());
    }
    let mine = farthest(observations, labels, centres, empty.len());
    let pack = |far: &Far| [far.distance.to_bits(), far.row, far.label as u64].map(u64::to_ne_bytes).concat();
    let parts = observations.world().all_gather_bytes(mine.iter().flat_map(pack).collect())?;
    let word = |entry: &[u8], at: usize| u64::from_ne_bytes(entry[8 * at..8 * at + 8].try_into().expect("eight bytes"));
    let mut all: Vec<Far> = parts
        .iter()
        .flat_map(|part| part.chunks_exact(24))
        .map(|entry| Far {
            distance: f64::from_bits(word(entry, 0)),
            row: word(entry, 1),
            label: word(entry, 2) as usize,
        })
        .collect();
    keep_farthest(&mut all, empty.len());
    if all.first().is_none_or(|far| far.distance == 0.0) {
        return Ok(());
    }
    let indices: Vec<usize> = all.iter().map(|far| far.row as usize).collect();
    let rows = observations.rows_at(&indices)?;
    for ((cluster, far), row) in empty.into_iter().zip(&all).zip(rows.chunks_exact(columns)) {
        layout.move_row(fixed, words, (far.label, cluster), (row, observations.origin()));
    }
    Ok(())
}

/// The farthest of this rank's rows.
fn farthest<T: Real + Element + Default>(
    observations: &Observations<T>,
    labels: &[Labels],
    centres: &[T],
    count: usize,
) -> Vec<Far> {
    let mut far = Vec::new();
    for (tile, labels) in observations.tiles().iter().zip(labels) {
        let (rows, labels) = (tile.cell.read(), labels.cell.read());
        let labels = labels.of::<i32>();
        let mut apart = vec![0.0; labels.len()];
        distances(&rows.of::<T>()[tile.values.clone()], observations.origin(), centres, labels, &mut apart);
        let rows = (tile.rows.start as u64..).zip(labels).zip(apart);
        far.extend(rows.map(|((row, &label), distance)| Far { distance, row, label: label as usize }));
        keep_farthest(&mut far, count);
    }
    far
}

fn keep_farthest(far: &mut Vec<Far>, count: usize) {
    far.sort_by(|a, b| b.distance.total_cmp(&a.distance).then(a.row.cmp(&b.row)));
    far.truncate(count);
}

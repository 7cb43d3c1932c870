//! K-Means of many long centres, whose sums are divided over ranks: the same bits, and no more bytes than it says.

use girih_arrays::{Array, Element};
use girih_cluster::{Error, Observations, Options, Real};
use girih_runtime::comm::Traffic;
use girih_runtime::config::Config;
use girih_runtime::local;
use girih_runtime::world::World;

const ROWS: usize = 1800;
const CLUSTERS: usize = 1100;

/// Numbers in [0, 1) from a counter: the same on every rank.
fn uniform(seed: u64, index: usize) -> f64 {
    let mut word = seed.wrapping_add(index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 31)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    ((word ^ (word >> 32)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A case: the columns, how many words a sum has, whether rows have weights, and whether starting centres are pairs of
/// equals, of which the second has no rows, so that rows are moved to it.
#[derive(Clone, Copy)]
struct Case {
    columns: usize,
    limbs: usize,
    weighted: bool,
    pairs: bool,
}

/// All that must not depend on ranks and threads, and what the iterations sent.
type Found = (Vec<u64>, Vec<i32>, u64, Traffic);

fn fit<T: Real + Element + Default>(world: &World, case: Case) -> Result<Found, Error> {
    let x: Vec<T> = (0..ROWS * case.columns).map(|at| T::narrow(uniform(2, at))).collect();
    let weights: Vec<T> = (0..ROWS).map(|row| T::narrow(0.5 + uniform(9, row))).collect();
    let x = Observations::<T>::new(&Array::from_slice(world, &[ROWS, case.columns], &x)?)?;
    let x = if case.weighted { x.weighted(&Array::from_slice(world, &[ROWS], &weights)?)? } else { x };
    let starts: Vec<usize> = (0..CLUSTERS).map(|at| if case.pairs { at - at % 2 } else { at }).collect();
    let start = x.rows_at(&starts)?;
    world.traffic(true);
    let model = x.lloyd(&start, &Options { iterations_max: 3, tolerance: 0.0, ..Options::default() }, None)?;
    let traffic = world.traffic(true).get("kmeans").copied().unwrap_or_default();
    let mine = model.local_labels().iter().flat_map(|label| label.to_ne_bytes()).collect();
    let labels = world.all_gather_bytes(mine)?.concat();
    let labels = labels.as_chunks().0.iter().map(|&label| i32::from_ne_bytes(label)).collect();
    let centres = model.centres.iter().map(|value| value.widen().to_bits()).collect();
    Ok((centres, labels, model.inertia.to_bits(), traffic))
}

/// One rank divides nothing, so it is the oracle of bits; that of bytes are the shapes.
#[track_caller]
fn check<T: Real + Element + Default>(case: Case) {
    let run = |ranks, threads| -> Vec<Found> {
        let config = Config { threads: Some(threads), bind: false, ..Config::default() };
        let outcomes = local::run_with(ranks, 5, &config, |world| fit::<T>(world, case));
        outcomes.unwrap().into_iter().map(Result::unwrap).collect()
    };
    let (centres, labels, inertia, _) = run(1, 2).remove(0);
    let Case { columns, limbs, weighted, .. } = case;
    let counted = if weighted { 3 } else { 1 };
    let panels = limbs * CLUSTERS * columns / (1 << 16);
    for (ranks, threads) in [(2, 1), (3, 2), (5, 1)] {
        let cut = |part: usize| CLUSTERS * part / (panels * ranks);
        for (rank, found) in run(ranks, threads).into_iter().enumerate() {
            assert!((&found.0, &found.1, found.2) == (&centres, &labels, inertia), "bits of {ranks} × {threads}");
            let shares = (0..panels).map(|panel| panel * ranks + rank).map(|part| cut(part + 1) - cut(part));
            let shares: Vec<usize> = shares.collect();
            let others = CLUSTERS - shares.iter().sum::<usize>();
            let part = |own: &usize| 8 * counted * own + (own * columns * size_of::<T>()).next_multiple_of(8);
            let bytes = 8 * (limbs * columns + counted) * others + shares.iter().map(part).sum::<usize>() + 8 * 6;
            // Up to three iterations, and one more for the labels of the last centres.
            let (runs, rest) =
                (found.3.collectives / (2 * panels as u64 + 1), found.3.collectives % (2 * panels as u64 + 1));
            assert!((2..=4).contains(&runs) && rest == 0, "{:?}", found.3);
            assert_eq!((found.3.bytes, found.3.messages), (runs * bytes as u64, 0), "rank {rank} of {ranks}");
        }
    }
}

#[test]
fn divided_sums_give_the_bits_of_one_rank() {
    check::<f64>(Case { columns: 61, limbs: 2, weighted: false, pairs: false });
    check::<f32>(Case { columns: 121, limbs: 1, weighted: false, pairs: false });
    check::<f32>(Case { columns: 61, limbs: 2, weighted: true, pairs: false });
}

#[test]
fn empty_clusters_of_divided_centres_get_rows() {
    check::<f64>(Case { columns: 61, limbs: 2, weighted: false, pairs: true });
    check::<f64>(Case { columns: 61, limbs: 2, weighted: true, pairs: true });
}

//! K-Means gives the same bits at every number of ranks and threads, and what a plain loop gives.

use girih_arrays::Array;
use girih_cluster::{Begin, Checkpoints, Csr, Error, Hooks, Model, Observations, Options, RowSource, Storage};
use girih_runtime::config::Config;
use girih_runtime::local;
use girih_runtime::world::World;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Numbers in [0, 1) from a counter: the same on every rank.
fn uniform(seed: u64, index: usize) -> f64 {
    let mut word = seed.wrapping_add(index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 31)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    ((word ^ (word >> 32)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn blobs(rows: usize, columns: usize, clusters: usize) -> Vec<f64> {
    let value = |index: usize| {
        let (row, column) = (index / columns, index % columns);
        5.0 * uniform(1, row % clusters * columns + column) + uniform(2, index)
    };
    (0..rows * columns).map(value).collect()
}

/// Everything that must not depend on ranks and threads, as bits.
#[derive(Debug, PartialEq)]
struct Outcome {
    seeds: Vec<u64>,
    centres: Vec<u64>,
    inertia: u64,
    iterations: usize,
    labels: Vec<i32>,
}

fn fit(world: &World, x: &[f64], shape: [usize; 2], clusters: usize) -> Result<Outcome, Error> {
    let x = Array::from_slice(world, &shape, x)?;
    let observations = Observations::<f64>::new(&x)?;
    let trials = 2 + (clusters as f64).ln() as usize;
    let draws: Vec<f64> = (0..(clusters - 1) * trials).map(|index| uniform(3, index)).collect();
    let seeds = observations.plus_plus(uniform(4, 0), &draws, trials)?.centres;
    let model = observations.lloyd(&seeds, &Options::default(), None)?;
    let labels = gathered(world, &model)?;
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect();
    Ok(Outcome {
        seeds: bits(&seeds),
        centres: bits(&model.centres),
        inertia: model.inertia.to_bits(),
        iterations: model.iterations,
        labels,
    })
}

fn gathered<T>(world: &World, model: &Model<T>) -> Result<Vec<i32>, Error> {
    let mine = model.local_labels().iter().flat_map(|label| label.to_ne_bytes()).collect();
    let all = world.all_gather_bytes(mine)?.concat();
    Ok(all.chunks_exact(4).map(|label| i32::from_ne_bytes(label.try_into().unwrap())).collect())
}

#[track_caller]
fn check(rows: usize, columns: usize, clusters: usize) {
    let x = blobs(rows, columns, clusters);
    let run = |ranks, threads, tile_bytes| {
        let config = Config { threads: Some(threads), tile_bytes, bind: false, ..Config::default() };
        let seed = (ranks + 8 * threads) as u64;
        let outcomes = local::run_with(ranks, seed, &config, |world| fit(world, &x, [rows, columns], clusters));
        let outcomes: Vec<Outcome> = outcomes.unwrap().into_iter().map(|outcome| outcome.unwrap()).collect();
        for outcome in &outcomes[1..] {
            assert_eq!(outcome, &outcomes[0], "ranks of one world differ");
        }
        outcomes.into_iter().next().unwrap()
    };
    let alone = run(1, 1, 1 << 20);
    for (ranks, threads, tile_bytes) in
        [(1, 2, 1 << 20), (2, 1, 1 << 20), (2, 2, 256), (3, 1, 64), (3, 2, 1 << 20), (4, 1, 1 << 14), (4, 2, 1)]
    {
        let outcome = run(ranks, threads, tile_bytes);
        assert_eq!(outcome, alone, "{rows}×{columns}, k={clusters}: {ranks} ranks × {threads} threads");
    }
    check_against_a_loop(&x, columns, clusters, &alone);
}

/// The oracle: from the same seeds, plain loops in plain order; means differ from exact ones by rounding only.
fn check_against_a_loop(x: &[f64], columns: usize, clusters: usize, outcome: &Outcome) {
    let mut centres: Vec<f64> = outcome.seeds.iter().map(|&bits| f64::from_bits(bits)).collect();
    let mut labels = vec![-1; x.len() / columns];
    let squared = |row: &[f64], centre: &[f64]| row.iter().zip(centre).map(|(x, c)| (x - c) * (x - c)).sum::<f64>();
    for _ in 0..outcome.iterations {
        let nearest = |row: &[f64]| {
            let apart: Vec<f64> = centres.chunks(columns).map(|centre| squared(row, centre)).collect();
            (0..clusters).min_by(|&a, &b| apart[a].total_cmp(&apart[b])).unwrap() as i32
        };
        labels = x.chunks(columns).map(nearest).collect();
        for cluster in 0..clusters {
            let members: Vec<&[f64]> = x
                .chunks(columns)
                .zip(&labels)
                .filter(|&(_, &label)| label == cluster as i32)
                .map(|(row, _)| row)
                .collect();
            for column in (0..columns).filter(|_| !members.is_empty()) {
                let sum: f64 = members.iter().map(|row| row[column]).sum();
                centres[cluster * columns + column] = sum / members.len() as f64;
            }
        }
    }
    let wrong = labels.iter().zip(&outcome.labels).filter(|(a, b)| a != b).count();
    assert_eq!(wrong, 0, "{wrong} labels differ from the loop's");
    for (&bits, expected) in outcome.centres.iter().zip(&centres) {
        let centre = f64::from_bits(bits);
        assert!((centre - expected).abs() <= 1e-12 * (1.0 + expected.abs()), "{centre} for {expected}");
    }
}

/// A row with weight 3 is three rows, one with weight 0 is none: centres and inertia, not their last bits.
#[track_caller]
fn check_weights(rows: usize, columns: usize, ranks: usize) {
    let clusters = 5;
    let x = blobs(rows, columns, clusters);
    let weights: Vec<f64> = (0..rows).map(|row| (uniform(9, row) * 4.0).floor()).collect();
    let repeated: Vec<f64> =
        x.chunks(columns).zip(&weights).flat_map(|(row, &weight)| row.repeat(weight as usize)).collect();
    let draws: Vec<f64> = (0..(clusters - 1) * 3).map(|index| uniform(3, index)).collect();
    let run = |ranks, threads| {
        let config = Config { threads: Some(threads), bind: false, ..Config::default() };
        let outcomes = local::run_with(ranks, 3, &config, |world| {
            let x = Observations::<f64>::new(&Array::from_slice(world, &[rows, columns], &x)?)?;
            let weighted = x.weighted(&Array::from_slice(world, &[rows], &weights)?)?;
            let seeds = weighted.plus_plus(0.4, &draws, 3)?.centres;
            let model = weighted.lloyd(&seeds, &Options::default(), None)?;
            let all = [repeated.len() / columns, columns];
            let repeated = Observations::<f64>::new(&Array::from_slice(world, &all, &repeated)?)?;
            assert_eq!(repeated.plus_plus(0.4, &draws, 3)?.centres, seeds, "the draws fall on copies of the same rows");
            let same = repeated.lloyd(&seeds, &Options::default(), None)?;
            assert!((model.inertia - same.inertia).abs() <= 1e-9 * same.inertia);
            for (a, b) in model.centres.iter().zip(&same.centres) {
                assert!((a - b).abs() <= 1e-9, "{a} with weights, {b} with repeated rows");
            }
            Ok::<_, Error>((gathered(world, &model)?, model.centres, model.inertia.to_bits()))
        });
        outcomes.unwrap().into_iter().map(Result::unwrap).next().unwrap()
    };
    assert_eq!(run(ranks, 2), run(1, 1), "weighted bits on {ranks} ranks");
}

#[test]
fn a_weight_is_a_number_of_copies() {
    check_weights(6007, 7, 2);
    check_weights(9000, 20, 3);
    check_weights(60, 3, 4);
}

/// Sparse rows are the rows they stand for: the same seeds and labels, at every rank count the same bits.
#[test]
fn sparse_rows_are_clustered_like_dense_ones() {
    let (rows, columns, clusters) = (9001, 30, 6);
    let x: Vec<f64> = (0..rows * columns)
        .map(|at| {
            let (row, column) = (at / columns, at % columns);
            let own = column % clusters == row % clusters;
            if own || uniform(5, at) < 0.1 { 1.0 + uniform(6, at) } else { 0.0 }
        })
        .collect();
    let (mut starts, mut places, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in x.chunks(columns) {
        for (column, &value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
            places.push(column as u32);
            values.push(value);
        }
        starts.push(values.len());
    }
    let matrix = Csr { shape: [rows, columns], starts: &starts, columns: &places, values: &values };
    let draws: Vec<f64> = (0..(clusters - 1) * 3).map(|index| uniform(3, index)).collect();
    let run = |ranks, threads| {
        let config = Config { threads: Some(threads), bind: false, ..Config::default() };
        let outcomes = local::run_with(ranks, 3, &config, |world| {
            let sparse = Observations::<f64>::sparse(world, &matrix)?;
            let dense = Observations::<f64>::new(&Array::from_slice(world, &[rows, columns], &x)?)?;
            let seeds = sparse.plus_plus(0.4, &draws, 3)?;
            assert_eq!(dense.plus_plus(0.4, &draws, 3)?, seeds);
            let model = sparse.lloyd(&seeds.centres, &Options::default(), None)?;
            let same = dense.lloyd(&seeds.centres, &Options::default(), None)?;
            let labels = gathered(world, &model)?;
            assert_eq!(labels, gathered(world, &same)?);
            assert_eq!(model.iterations, same.iterations);
            assert!((model.inertia - same.inertia).abs() <= 1e-9 * same.inertia);
            Ok::<_, Error>((labels, model.centres, model.inertia.to_bits()))
        });
        outcomes.unwrap().into_iter().map(Result::unwrap).next().unwrap()
    };
    let alone = run(1, 1);
    for (ranks, threads) in [(1, 2), (2, 1), (3, 2)] {
        assert_eq!(run(ranks, threads), alone, "{ranks} ranks");
    }
}

/// After any number of iterations the pruned fit has the bits of the one that compares all rows with all centres.
#[track_caller]
fn check_pruning(rows: usize, columns: usize, clusters: usize, weighted: bool) {
    // More clusters than blobs, so that there are many iterations with few changes.
    let x = blobs(rows, columns, 4);
    let weights: Vec<f64> = (0..rows).map(|row| uniform(9, row)).collect();
    let outcomes = local::run(2, 2, 3, |world| {
        let mut x = Observations::<f64>::new(&Array::from_slice(world, &[rows, columns], &x)?)?;
        if weighted {
            x = x.weighted(&Array::from_slice(world, &[rows], &weights)?)?;
        }
        let start = x.rows_at(&(0..clusters).map(|row| row * (rows / clusters)).collect::<Vec<_>>())?;
        let mut spared = false;
        for iterations_max in [1, 2, 3, 4, 5, 6, 8, 11, 15, 20, 40] {
            let fit = |prunes, spared: &mut bool| {
                let options = Options { iterations_max, tolerance: 0.0, shift: 0.0, prunes, unit: false };
                let mut told = Vec::new();
                let mut observer = |iteration: &girih_cluster::Iteration| {
                    *spared |= 4 * iteration.looked_at < 3 * rows as u64;
                    told.push((iteration.inertia.to_bits(), iteration.shift.to_bits(), iteration.changed));
                    Ok(false)
                };
                let model = x.lloyd(&start, &options, Some(&mut observer))?;
                let quiet = x.lloyd(&start, &options, None)?;
                assert_eq!(quiet.inertia.to_bits(), model.inertia.to_bits());
                Ok::<_, Error>((model.local_labels(), model.centres, model.inertia.to_bits(), told))
            };
            let pruned = fit(true, &mut spared)?;
            assert_eq!(pruned, fit(false, &mut false)?, "after {iterations_max} iterations");
        }
        Ok::<_, Error>(spared)
    });
    for spared in outcomes.unwrap() {
        assert!(spared.unwrap(), "no row was ever left out");
    }
}

#[test]
fn pruning_leaves_no_trace() {
    check_pruning(40_000, 8, 200, false);
    check_pruning(9001, 30, 60, true);
}

#[test]
fn a_fit_goes_on_where_it_was_on_any_number_of_ranks() {
    let (rows, columns, clusters) = (5003, 6, 40);
    let x = blobs(rows, columns, clusters);
    let folder = std::env::temp_dir().join(format!("girih-checkpoint-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("fit");
    let checkpoints = Checkpoints { path: path.clone(), every: 3 };
    let run = |ranks, begin: Option<&Path>, iterations_max| {
        let outcomes = local::run(ranks, 1, 4, |world| {
            let x = Observations::<f64>::new(&Array::from_slice(world, &[rows, columns], &x)?)?;
            let start = x.rows_at(&(0..clusters).collect::<Vec<_>>())?;
            let options = Options { iterations_max, tolerance: 0.0, shift: 0.0, prunes: true, unit: false };
            let begin = begin.map_or(Begin::Centres(&start), Begin::Checkpoint);
            let model = x.lloyd_with(begin, &options, Hooks { checkpoints: Some(&checkpoints), ..Hooks::default() })?;
            Ok::<_, Error>((gathered(world, &model)?, model.centres, model.inertia.to_bits(), model.iterations))
        });
        outcomes.unwrap().into_iter().next().unwrap()
    };
    let whole = run(2, None, 300).unwrap();
    // Ends as if its job had ended in the seventh iteration: the file is that of the sixth.
    for (before, after) in [(1, 3), (3, 2), (2, 1)] {
        run(before, None, 7).unwrap();
        assert_eq!(run(after, Some(&path), 300).unwrap(), whole, "{before} ranks, then {after}");
    }
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    assert!(run(2, Some(&path), 300).unwrap_err().to_string().contains("damaged"));
    assert!(run(2, Some(&folder.join("none")), 300).unwrap_err().to_string().contains("cannot be read"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn weights_that_are_none_are_refused() {
    let outcomes = local::run(2, 1, 1, |world| {
        let x = Observations::<f64>::new(&Array::from_slice(world, &[4, 1], &[0.0, 1.0, 2.0, 3.0]).unwrap()).unwrap();
        let refused = |weights: &[f64]| {
            let weights = Array::from_slice(world, &[weights.len()], weights).unwrap();
            x.weighted(&weights).map(drop).unwrap_err().to_string()
        };
        [refused(&[0.0; 4]), refused(&[1.0, f64::NAN, 1.0, 1.0]), refused(&[1.0; 3])]
    });
    for [zero, nan, few] in outcomes.unwrap() {
        assert!(zero.contains("at least one non-zero") && nan.contains("sample_weight contains NaN"));
        assert!(few.contains("expected (4,)"), "{few}");
    }
}

#[test]
fn ragged_rows_have_the_same_bits() {
    check(10_007, 13, 8);
}

#[test]
fn long_rows_have_the_same_bits() {
    check(6001, 40, 24);
}

#[test]
fn small_data_held_by_every_rank_have_the_same_bits() {
    check(301, 3, 5);
}

#[test]
fn fewer_rows_than_ranks_have_the_same_bits() {
    check(3, 2, 2);
    check(1, 1, 1);
}

#[test]
fn one_wide_row_each_has_the_same_bits() {
    check(5, 4001, 3);
}

#[test]
fn an_empty_cluster_takes_the_farthest_row() {
    for ranks in [1, 2, 3] {
        let outcomes = local::run(ranks, 1, 5, |world| {
            let x = Array::from_slice(world, &[6, 1], &[0.0, 1.0, 2.0, 3.0, 50.0, 100.0])?;
            let observations = Observations::<f64>::new(&x)?;
            // No row is nearest to the last two, so the rows 5 and 4 are given to them in turn.
            let model = observations.lloyd(&[1.0, 1e6, 2e6], &Options::default(), None)?;
            Ok::<_, Error>((model.centres, model.inertia, model.clusters))
        });
        for outcome in outcomes.unwrap() {
            assert_eq!(outcome.unwrap(), (vec![1.5, 100.0, 50.0], 5.0, 3));
        }
    }
}

#[test]
fn duplicate_rows_leave_clusters_empty() {
    for ranks in [1, 2] {
        let outcomes = local::run(ranks, 1, 5, |world| {
            let x = Array::from_slice(world, &[40, 1], &[7.0; 40])?;
            let observations = Observations::<f64>::new(&x)?;
            let seeds = observations.plus_plus(0.3, &[0.1, 0.9, 0.5, 0.5], 2)?.centres;
            let model = observations.lloyd(&seeds, &Options::default(), None)?;
            Ok::<_, Error>((model.centres, model.inertia, model.clusters))
        });
        for outcome in outcomes.unwrap() {
            assert_eq!(outcome.unwrap(), (vec![7.0; 3], 0.0, 1));
        }
    }
}

#[test]
fn bad_data_are_refused_alike_on_all_ranks() {
    for (bad, expected) in [(f64::NAN, "NaN"), (f64::INFINITY, "infinity")] {
        let outcomes = local::run(3, 1, 1, |world| {
            let mut values = blobs(9000, 2, 3);
            values[12_345] = bad;
            let x = Array::from_slice(world, &[9000, 2], &values).unwrap();
            Observations::<f64>::new(&x).map(drop)
        });
        for outcome in outcomes.unwrap() {
            assert!(outcome.unwrap_err().to_string().contains(expected));
        }
    }
}

#[test]
fn an_observer_that_fails_on_one_rank_fails_all() {
    let outcomes = local::run(3, 1, 2, |world| {
        let x = Array::from_slice(world, &[5000, 3], &blobs(5000, 3, 4)).unwrap();
        let observations = Observations::<f64>::new(&x).unwrap();
        let seeds = observations.rows_at(&[0, 1, 2, 3]).unwrap();
        let rank = world.rank().0;
        let mut observer =
            |_: &girih_cluster::Iteration| if rank == 1 { Err("no more".to_string()) } else { Ok(false) };
        let error = observations.lloyd(&seeds, &Options::default(), Some(&mut observer)).unwrap_err();
        // The world is usable afterwards.
        observations.lloyd(&seeds, &Options::default(), None).unwrap();
        error.to_string()
    });
    assert_eq!(outcomes.unwrap(), ["rank 1 failed: no more", "no more", "rank 1 failed: no more"]);
}

#[test]
fn an_observer_that_is_content_on_one_rank_stops_all() {
    let outcomes = local::run(2, 1, 2, |world| {
        let x = Array::from_slice(world, &[5000, 3], &blobs(5000, 3, 4)).unwrap();
        let observations = Observations::<f64>::new(&x).unwrap();
        let seeds = observations.rows_at(&[0, 4, 8, 12]).unwrap();
        let mut observer = |iteration: &girih_cluster::Iteration| Ok(world.rank().0 == 1 && iteration.number == 2);
        let options = Options { iterations_max: 50, tolerance: 0.0, shift: 0.0, prunes: true, unit: false };
        observations.lloyd(&seeds, &options, Some(&mut observer)).unwrap().iterations
    });
    assert_eq!(outcomes.unwrap(), [2, 2]);
}

#[test]
fn an_iteration_is_one_all_reduce_of_the_words_it_must_be() {
    let (clusters, columns) = (6, 13);
    let outcomes = local::run(3, 1, 2, |world| {
        let x = Array::from_slice(world, &[10_007, columns], &blobs(10_007, columns, clusters)).unwrap();
        let observations = Observations::<f64>::new(&x).unwrap();
        let seeds = observations.rows_at(&[0, 1, 2, 3, 4, 5]).unwrap();
        world.traffic(true);
        let model = observations
            .lloyd(
                &seeds,
                &Options { iterations_max: 300, tolerance: 0.0, shift: 0.0, prunes: true, unit: false },
                None,
            )
            .unwrap();
        (model.iterations as u64, world.traffic(true))
    });
    for (iterations, traffic) in outcomes.unwrap() {
        let kmeans = traffic["kmeans"];
        // Two words for each sum of f64, a count for each cluster, two for the inertia, changed labels, rows looked
        // at, ranks that wish to stop, status.
        let words = (2 * clusters * columns + clusters + 6) as u64;
        // One for each iteration, and one for the inertia at the end.
        assert_eq!((kmeans.collectives, kmeans.messages), (iterations + 1, 0));
        assert_eq!(kmeans.bytes, 8 * words * (iterations + 1));
        // Before the first iteration, one agreement: that all have the memory, the same centres and options.
        assert_eq!((traffic["control"].collectives, traffic["control"].bytes), (1, 40));
        assert_eq!(traffic.len(), 2, "nothing else travels: {traffic:?}");
    }
}

#[test]
fn a_rank_without_memory_fails_all() {
    let config = |bytes_max| Config { threads: Some(1), bind: false, bytes_max: Some(bytes_max), ..Config::default() };
    // Room for the data and little else: the packed centres and the sums do not fit.
    let outcomes = local::run_with(2, 3, &config(1 << 20), |world| {
        let x = Array::from_slice(world, &[2000, 20], &blobs(2000, 20, 4)).unwrap();
        let observations = Observations::<f64>::new(&x).unwrap();
        let start = observations.rows_at(&(0..1000).collect::<Vec<_>>()).unwrap();
        let refused = observations.lloyd(&start, &Options::default(), None).unwrap_err().to_string();
        let served = observations.lloyd(&start[..80], &Options::default(), None).map(|model| model.clusters);
        (refused, served.unwrap())
    });
    for (refused, served) in outcomes.unwrap() {
        assert!(refused.contains("memory budget"), "{refused}");
        assert_eq!(served, 4);
    }
}

/// A matrix of so many columns, as a file gives it.
#[derive(Debug)]
struct Stored(Vec<f64>, usize);

impl RowSource for Stored {
    fn read(&self, rows: Range<usize>, out: &mut [u8]) -> Result<(), String> {
        let values = &self.0[rows.start * self.1..rows.end * self.1];
        out.chunks_exact_mut(8).zip(values).for_each(|(out, value)| out.copy_from_slice(&value.to_ne_bytes()));
        Ok(())
    }
}

#[test]
fn fits_that_share_passes_are_those_one_by_one_of_stored_rows_too() {
    let (rows, columns) = (7001, 5);
    let x = blobs(rows, columns, 9);
    let starts: Vec<Vec<f64>> = [2, 9, 9, 4].iter().map(|&clusters| blobs(clusters, columns, clusters + 3)).collect();
    let starts: Vec<&[f64]> = starts.iter().map(|start| &start[..]).collect();
    let shown = |model: &Model<f64>| (model.centres.clone(), model.inertia, model.iterations, model.local_labels());
    for ranks in [1, 2, 3, 6] {
        let outcomes = local::run(ranks, 2, 4, |world| {
            let array = Array::from_slice(world, &[rows, columns], &x)?;
            let observations = Observations::<f64>::new(&array)?;
            let source = Arc::new(Stored(x.clone(), columns));
            let storage = Storage { bytes_max: 60_000, together: 7 };
            let stored = Observations::<f64>::stored(world, source, [rows, columns], &storage)?;
            let together = observations.lloyd_many(&starts, &Options::default(), None)?;
            for (start, model) in starts.iter().zip(&together) {
                let alone = observations.lloyd(start, &Options::default(), None)?;
                assert_eq!(shown(model), shown(&alone));
                assert_eq!(shown(model), shown(&stored.lloyd(start, &Options::default(), None)?));
            }
            Ok::<(), Error>(())
        });
        outcomes.unwrap().into_iter().for_each(|outcome| outcome.unwrap());
    }
}

//! Lloyd's iterations, and which rows each of them looks at.
//!
//! Invariant: all ranks hold the same words after each iteration, and take the same decisions from them.
//! Traffic: one all-reduce of limbs·k·d + k + 6 words in each iteration, with weights 2·k·d + 3·k + 6; of one fit with
//! long sums what `shares.rs` says; before the first, an agreement.

use crate::centroids::{all_have_weight, means, shift};
use crate::checkpoint::{Checkpoints, State};
use crate::epoch::{BOUNDS_BYTES, Epoch, Keeps, Mode, Sums};
use crate::error::{Error, Result};
use crate::model::{Iteration, Labels, Model, Options};
use crate::observations::Observations;
use crate::pruning::Pruning;
use crate::relocate::relocate;
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{Moves, Real};
use girih_runtime::fingerprint::Fingerprint;
use std::path::Path;
use std::sync::Arc;

/// Fits that share a pass at most: more gain little, for the centres of all must stay in cache.
const FITS_MAX: usize = 8;
/// Bytes that a fit keeps of each row: its label and two bounds.
const ROW_BYTES: usize = 4 + BOUNDS_BYTES;

/// Told of each iteration; true ends the fit, an error ends it on all ranks.
pub type Observer<'a> = dyn FnMut(&Iteration) -> Result<bool, String> + 'a;

/// What goes on beside a fit.
#[derive(Default)]
pub struct Hooks<'a> {
    /// Given on all ranks or none, called after each iteration; if it answers true or fails on one rank, all stop.
    pub observer: Option<&'a mut Observer<'a>>,
    /// Given on all ranks or none.
    pub checkpoints: Option<&'a Checkpoints>,
    /// Asked on its rank before each iteration; if one rank's answer is true, all stop after that iteration.
    pub interrupt: Option<&'a mut dyn FnMut() -> bool>,
}

/// Where a fit begins.
#[derive(Clone, Copy, Debug)]
pub enum Begin<'a, T> {
    /// At these centres, k×d in C order and equal on all ranks.
    Centres(&'a [T]),
    /// Where the fit that wrote this file was.
    Checkpoint(&'a Path),
}

/// A fit on its way.
struct Fit<T> {
    state: State<T>,
    /// How far the centres moved last.
    moves: Arc<Moves>,
    pruning: Pruning,
    /// The last iteration's labels are those of its own centres.
    settled: bool,
    /// The inertia of the last iteration, if it was wanted.
    inertia: Option<f64>,
    /// Rows of each cluster in the last iteration.
    counts: Vec<i64>,
    /// Centres have length one.
    unit: bool,
    done: bool,
    /// Some rank wished to stop.
    stop: bool,
}

impl<T: Real + Element + Default> Observations<T> {
    /// Fits centres from these starting ones, k×d in C order and equal on all ranks.
    ///
    /// `observer`, given on all ranks or none, is called after each iteration; if it answers true or fails on one
    /// rank, all stop.
    /// Cost per iteration: 2·n·k·d flops over all ranks and one read of the data; one all-reduce, and with an
    /// observer a word for its answer.
    ///
    /// # Errors
    /// Replicated: `Error::Value` if the centres do not fit the rows. As the runtime's otherwise.
    pub fn lloyd<'a>(
        &self,
        start: &[T],
        options: &Options,
        observer: Option<&'a mut Observer<'a>>,
    ) -> Result<Model<T>> {
        self.lloyd_with(Begin::Centres(start), options, Hooks { observer, ..Hooks::default() })
    }

    /// As `lloyd`, from centres or from a checkpoint, with checkpoints on the way and a way to stop.
    ///
    /// A fit that goes on from a checkpoint ends with the bits of one that was never disturbed, on any number of ranks.
    /// Interrupted, it writes a checkpoint, if it writes any, and gives the model of the centres that it has.
    /// Cost: a file of 2·k·d values at each checkpoint, written by rank 0, and an agreement.
    ///
    /// # Errors
    /// As `lloyd`. Replicated: `Error::Value` if the checkpoint is not there, is damaged or is of other data.
    pub fn lloyd_with(&self, begin: Begin<'_, T>, options: &Options, hooks: Hooks<'_>) -> Result<Model<T>> {
        let state = match begin {
            Begin::Centres(start) => self.beginning(start)?,
            Begin::Checkpoint(path) => self.kept(path)?,
        };
        Ok(self.fits(vec![state], options, hooks)?.pop().expect("one state makes one model"))
    }

    /// Fits from several starts at once, of any numbers of clusters: each pass over the data serves all of them.
    ///
    /// The models are those that `lloyd` makes of the starts one by one, bit for bit. So many share a pass that what
    /// is kept for each takes no more than the data, and at most eight.
    /// Cost: for each start as `lloyd`, but for the reading of the data and the number of messages.
    ///
    /// # Errors
    /// As `lloyd`.
    pub fn lloyd_many(
        &self,
        starts: &[&[T]],
        options: &Options,
        mut interrupt: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<Vec<Model<T>>> {
        let mut models = Vec::with_capacity(starts.len());
        for starts in starts.chunks(self.fits_at_once()) {
            let states: Vec<State<T>> = starts.iter().map(|start| self.beginning(start)).collect::<Result<_>>()?;
            let interrupt = interrupt.as_mut().map(|interrupt| &mut **interrupt as &mut dyn FnMut() -> bool);
            models.extend(self.fits(states, options, Hooks { interrupt, ..Hooks::default() })?);
            if models.last().is_some_and(|model| model.interrupted) {
                break;
            }
        }
        Ok(models)
    }

    fn fits_at_once(&self) -> usize {
        let of_row = if self.may_keep(FITS_MAX * ROW_BYTES) { self.columns() * size_of::<T>() } else { 0 };
        (of_row / ROW_BYTES).clamp(1, FITS_MAX)
    }

    fn beginning(&self, start: &[T]) -> Result<State<T>> {
        self.clusters_of(start)?;
        Ok(State { iterations: 0, before: Vec::new(), centres: self.centred(start) })
    }

    fn fits(&self, states: Vec<State<T>>, options: &Options, hooks: Hooks<'_>) -> Result<Vec<Model<T>>> {
        let Hooks { mut observer, checkpoints, mut interrupt } = hooks;
        let rows = self.rows();
        if let Some(clusters) = states.iter().map(|state| self.clusters(state)).find(|&clusters| clusters > rows) {
            return Err(Error::Value(format!("n_samples={rows} should be >= n_clusters={clusters}.")));
        }
        let relative = if options.tolerance == 0.0 { 0.0 } else { options.tolerance * self.mean_variance()? };
        let tolerance = relative.max(options.shift);
        let watched = observer.is_some();
        let every = checkpoints.map_or(0, |checkpoints| checkpoints.every as u64);
        let limits = [options.iterations_max as u64, options.tolerance.to_bits(), options.shift.to_bits()];
        let limits = [&limits[..], &[u64::from(watched), u64::from(options.unit), every]].concat();
        let (epoch, mut fits) = self.begun(states, options, &limits)?;
        while fits.iter().any(|fit| !fit.done) {
            let wish = interrupt.as_mut().is_some_and(|interrupt| interrupt());
            let iterations = self.step(&epoch, &mut fits, watched, wish)?;
            for (fit, iteration) in fits.iter_mut().zip(iterations) {
                let Some(iteration) = iteration else { continue };
                let stop = match &mut observer {
                    Some(observer) => self.tell(&mut **observer, &iteration)?,
                    None => false,
                };
                fit.done = iteration.changed == 0 || iteration.shift <= tolerance || stop;
                if let Some(Checkpoints { path, every }) = checkpoints
                    && !fit.done
                    && (fit.stop || iteration.number.is_multiple_of(*every))
                {
                    self.keep(path, &fit.state)?;
                }
                fit.done |= fit.stop || iteration.number >= options.iterations_max;
            }
        }
        self.finished(&epoch, fits, tolerance)
    }

    fn clusters(&self, state: &State<T>) -> usize {
        state.centres.len() / self.columns()
    }

    /// The graph of these fits, and the fits before their next iteration.
    fn begun(&self, states: Vec<State<T>>, options: &Options, limits: &[u64]) -> Result<(Epoch<T>, Vec<Fit<T>>)> {
        let prunes = options.prunes && self.may_keep(BOUNDS_BYTES * states.len());
        let mut fits: Vec<Fit<T>> = Vec::with_capacity(states.len());
        let mut print = plan(&[] as &[T], limits);
        for state in states {
            print = plan(&state.centres, &[print.value(), state.iterations as u64]);
            let pruning = Pruning::new(self.rows(), !self.is_sparse(), &state.centres, prunes);
            let moves = Arc::new(Moves::new(&state.centres, &state.centres, self.columns()));
            let done = state.iterations >= options.iterations_max;
            let (settled, inertia, counts, stop) = (false, None, Vec::new(), false);
            let unit = options.unit;
            fits.push(Fit { state, moves, pruning, settled, inertia, counts, unit, done, stop });
        }
        let members: Vec<(usize, Keeps)> =
            fits.iter().map(|fit| (self.clusters(&fit.state), fit.pruning.keeps())).collect();
        let epoch = self.agreed(Epoch::new(self, &members, print, true), |epoch| vec![epoch.graph()])?;
        if fits.iter().any(|fit| !fit.state.before.is_empty()) {
            // The labels of the iteration before, so that changes are counted from them.
            let before = |fit: &'_ Fit<T>| (!fit.state.before.is_empty()).then(|| fit.state.before.clone());
            let before: Vec<Option<Vec<T>>> = fits.iter().map(before).collect();
            let runs = before.iter().map(|before| before.as_ref().map(|before| (&before[..], Mode::WHOLE)));
            epoch.run_all(self, runs.collect())?;
        }
        Ok((epoch, fits))
    }

    /// One iteration of the fits that are not done: labels by the centres, then centres by the labels.
    fn step(&self, epoch: &Epoch<T>, fits: &mut [Fit<T>], watched: bool, stop: bool) -> Result<Vec<Option<Iteration>>> {
        let runs = fits.iter().map(|fit| {
            let mode = || Mode { stop, ..fit.pruning.mode(&fit.moves, watched) };
            (!fit.done).then(|| (&fit.state.centres[..], mode()))
        });
        let found = epoch.run_all(self, runs.collect())?;
        let mut iterations = Vec::with_capacity(fits.len());
        for (at, (fit, found)) in fits.iter_mut().zip(found).enumerate() {
            let Some(sums) = found else {
                iterations.push(None);
                continue;
            };
            iterations.push(Some(self.advance(epoch, at, fit, sums)?));
        }
        Ok(iterations)
    }

    fn advance(&self, epoch: &Epoch<T>, at: usize, fit: &mut Fit<T>, mut sums: Sums<T>) -> Result<Iteration> {
        let centres = std::mem::take(&mut fit.state.centres);
        fit.stop = sums.stop;
        let looked_at = fit.pruning.learn(&sums);
        let clusters = centres.len() / self.columns();
        let next = match sums.means.take() {
            Some(means) if all_have_weight(clusters, self.fixed(), &sums.words) => means,
            _ => {
                epoch.complete(self, &mut sums.words)?;
                relocate(self, epoch.labels(at), &centres, &mut sums.words)?;
                means(clusters, self.columns(), self.fixed(), &sums.words)
            }
        };
        let next = if fit.unit { self.on_the_sphere(&next) } else { next };
        let moved = shift(&centres, &next);
        if fit.pruning.follows() {
            fit.moves = Arc::new(Moves::new(&centres, &next, self.columns()));
        }
        // Equal labels give equal sums, so unless a cluster was relocated nothing is left to do.
        fit.settled = next == centres;
        fit.inertia = sums.inertia;
        fit.state = State { iterations: fit.state.iterations + 1, before: centres, centres: next };
        let Sums { inertia, changed, counts, .. } = sums;
        fit.counts = counts;
        let inertia = inertia.unwrap_or(f64::NAN);
        Ok(Iteration { number: fit.state.iterations, inertia, shift: moved, changed, looked_at })
    }

    /// The models of the last centres, with labels and inertias that belong to them.
    fn finished(&self, epoch: &Epoch<T>, mut fits: Vec<Fit<T>>, tolerance: f64) -> Result<Vec<Model<T>>> {
        let wanted = |fit: &Fit<T>| !fit.settled || fit.inertia.is_none();
        if fits.iter().any(wanted) {
            let runs = fits.iter().map(|fit| {
                let still = fit.settled && !self.is_sparse();
                let mode = || if still { Mode::INERTIA } else { fit.pruning.mode(&fit.moves, true) };
                wanted(fit).then(|| (&fit.state.centres[..], mode()))
            });
            let found = epoch.run_all(self, runs.collect())?;
            for (fit, sums) in fits.iter_mut().zip(found) {
                if let Some(sums) = sums {
                    fit.inertia = Some(sums.known_inertia());
                    fit.counts = sums.counts;
                }
            }
        }
        let models = fits.into_iter().enumerate().map(|(at, fit)| {
            let Fit { state, inertia, counts, stop, .. } = fit;
            let inertia = inertia.expect("every fit has been asked for it");
            let labels = epoch.labels(at).to_vec();
            let model = self.model(labels, &state.centres, inertia, state.iterations, &counts);
            Model { tolerance, interrupted: stop, ..model }
        });
        Ok(models.collect())
    }

    /// The nearest of these centres, k×d in C order, for each row: a model without iterations.
    ///
    /// Cost: 2·n·k·d flops over all ranks, one read of the data, one all-reduce.
    ///
    /// # Errors
    /// Replicated: `Error::Value` if the centres do not fit the columns. As the runtime's otherwise.
    pub fn assign(&self, centres: &[T]) -> Result<Model<T>> {
        let clusters = self.clusters_of(centres)?;
        let centred = self.centred(centres);
        let made = Epoch::new(self, &[(clusters, Keeps::NOTHING)], plan(centres, &[]), false);
        let epoch = self.agreed(made, |epoch| vec![epoch.graph()])?;
        let sums = epoch.run(self, &centred, Mode::WHOLE)?;
        Ok(self.model(epoch.labels(0).to_vec(), &centred, sums.known_inertia(), 0, &sums.counts))
    }

    pub(crate) fn clusters_of(&self, centres: &[T]) -> Result<usize> {
        let clusters = centres.len() / self.columns();
        if clusters == 0 || clusters * self.columns() != centres.len() {
            let columns = self.columns();
            return Err(Error::Value(format!("{} values are no centres of {columns} features", centres.len())));
        }
        Ok(clusters)
    }

    pub(crate) fn centred(&self, centres: &[T]) -> Vec<T> {
        let rows = centres.chunks_exact(self.columns());
        let centred = |(value, mean): (&T, &T)| T::narrow(value.widen() - mean.widen());
        rows.flat_map(|row| row.iter().zip(self.origin().iter()).map(centred)).collect()
    }

    /// Centred centres moved to length one, but for one at zero.
    fn on_the_sphere(&self, centred: &[T]) -> Vec<T> {
        let mut plain = self.shifted(centred);
        for centre in plain.chunks_exact_mut(self.columns()) {
            let norm = centre.iter().map(|value| value.widen() * value.widen()).sum::<f64>().sqrt();
            if norm > 0.0 {
                centre.iter_mut().for_each(|value| *value = T::narrow(value.widen() / norm));
            }
        }
        self.centred(&plain)
    }

    /// Centres as they were before `centred`.
    pub(crate) fn shifted(&self, centred: &[T]) -> Vec<T> {
        let rows = centred.chunks_exact(self.columns());
        let shifted = |(value, mean): (&T, &T)| T::narrow(value.widen() + mean.widen());
        rows.flat_map(|row| row.iter().zip(self.origin().iter()).map(shifted)).collect()
    }

    pub(crate) fn model(
        &self,
        labels: Vec<Labels>,
        centred: &[T],
        inertia: f64,
        iterations: usize,
        counts: &[i64],
    ) -> Model<T> {
        let centres = self.shifted(centred);
        let clusters = counts.iter().filter(|&&count| count > 0).count();
        Model { centres, inertia, tolerance: 0.0, iterations, clusters, interrupted: false, labels }
    }

    /// The observers' common answer.
    fn tell(&self, observer: &mut Observer<'_>, iteration: &Iteration) -> Result<bool> {
        const FAILED: i64 = 2;
        let answer = observer(iteration);
        let word = answer.as_ref().map_or(FAILED, |&stop| i64::from(stop));
        let most = self.world().max(word)?;
        if most < FAILED {
            return Ok(most > 0);
        }
        let agreed = self.world().agree(answer.clone());
        // This rank's own failure comes back as it was.
        answer.map_err(Error::Observer)?;
        Ok(agreed?)
    }
}

/// All that decides the course of a fit, the data aside.
fn plan<T: Element>(start: &[T], limits: &[u64]) -> Fingerprint {
    limits.iter().fold(Fingerprint::default().bytes(bytemuck::cast_slice(start)), |print, &limit| print.word(limit))
}

//! Lloyd's iterations, and which rows each of them looks at.
//!
//! Invariant: all ranks hold the same words after each iteration, and take the same decisions from them.
//! Traffic: one all-reduce of limbs·k·d + k + 6 words in each iteration, with weights 2·k·d + 3·k + 6; before the
//! first, an agreement.

use crate::centroids::{means, shift};
use crate::checkpoint::{Checkpoints, State};
use crate::epoch::{Epoch, Keeps, Mode, Sums};
use crate::error::{Error, Result};
use crate::model::{Iteration, Model, Options};
use crate::observations::Observations;
use crate::pruning::Pruning;
use crate::relocate::relocate;
use girih_arrays::Element;
use girih_arrays::kernel::nearest::{Moves, Real};
use girih_runtime::fingerprint::Fingerprint;
use std::path::Path;
use std::sync::Arc;

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
    epoch: Epoch<T>,
    state: State<T>,
    /// How far the centres moved last.
    moves: Arc<Moves>,
    pruning: Pruning,
    /// The last iteration's labels are those of its own centres.
    settled: bool,
    /// The inertia of the last iteration, if it was wanted.
    inertia: Option<f64>,
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
        let Hooks { mut observer, checkpoints, mut interrupt } = hooks;
        let state = match begin {
            Begin::Centres(start) => {
                self.clusters_of(start)?;
                State { iterations: 0, before: Vec::new(), centres: self.centred(start) }
            }
            Begin::Checkpoint(path) => self.kept(path)?,
        };
        let (clusters, rows) = (state.centres.len() / self.columns(), self.rows());
        if clusters > rows {
            return Err(Error::Value(format!("n_samples={rows} should be >= n_clusters={clusters}.")));
        }
        let relative = if options.tolerance == 0.0 { 0.0 } else { options.tolerance * self.mean_variance()? };
        let tolerance = relative.max(options.shift);
        let watched = observer.is_some();
        let every = checkpoints.map_or(0, |checkpoints| checkpoints.every as u64);
        let limits = [options.iterations_max as u64, options.tolerance.to_bits(), options.shift.to_bits()];
        let limits = [&limits[..], &[u64::from(watched), state.iterations as u64, every]].concat();
        let pruning = Pruning::new(rows, !self.is_sparse(), clusters * self.columns(), options.prunes);
        let made = Epoch::new(self, clusters, plan(&state.centres, &limits), pruning.keeps());
        let epoch = self.agreed(made, |epoch| vec![epoch.graph()])?;
        if !state.before.is_empty() {
            // The labels of the iteration before, so that changes are counted from them.
            epoch.run(self, &state.before, Mode::WHOLE)?;
        }
        let moves = Arc::new(Moves::new(&state.centres, &state.centres, self.columns()));
        let mut fit = Fit { epoch, state, moves, pruning, settled: false, inertia: None, stop: false };
        while fit.state.iterations < options.iterations_max {
            let wish = interrupt.as_mut().is_some_and(|interrupt| interrupt());
            let iteration = self.step(&mut fit, watched, wish)?;
            let stop = match &mut observer {
                Some(observer) => self.tell(&mut **observer, &iteration)?,
                None => false,
            };
            if iteration.changed == 0 || iteration.shift <= tolerance || stop {
                break;
            }
            if let Some(Checkpoints { path, every }) = checkpoints
                && (fit.stop || iteration.number.is_multiple_of(*every))
            {
                self.keep(path, &fit.state)?;
            }
            if fit.stop {
                break;
            }
        }
        Ok(Model { tolerance, ..self.finished(fit)? })
    }

    /// One iteration: labels by the centres, then centres by the labels.
    fn step(&self, fit: &mut Fit<T>, watched: bool, stop: bool) -> Result<Iteration> {
        let centres = std::mem::take(&mut fit.state.centres);
        let mut sums = fit.epoch.run(self, &centres, Mode { stop, ..fit.pruning.mode(&fit.moves, watched) })?;
        fit.stop = sums.stop;
        fit.pruning.learn(&sums);
        relocate(self, &fit.epoch.labels, &centres, &mut sums.words)?;
        let next = means(centres.len() / self.columns(), self.columns(), self.fixed(), &sums.words);
        let moved = shift(&centres, &next);
        fit.moves = Arc::new(Moves::new(&centres, &next, self.columns()));
        // Equal labels give equal sums, so unless a cluster was relocated nothing is left to do.
        fit.settled = next == centres;
        fit.inertia = sums.inertia;
        fit.state = State { iterations: fit.state.iterations + 1, before: centres, centres: next };
        let Sums { inertia, changed, looked_at, .. } = sums;
        let inertia = inertia.unwrap_or(f64::NAN);
        Ok(Iteration { number: fit.state.iterations, inertia, shift: moved, changed, looked_at })
    }

    /// The model of the last centres, with labels and inertia that belong to them.
    fn finished(&self, fit: Fit<T>) -> Result<Model<T>> {
        let Fit { epoch, state, moves, pruning, settled, inertia, stop } = fit;
        let inertia = match inertia {
            Some(inertia) if settled => inertia,
            _ => {
                let mode = if settled && !self.is_sparse() { Mode::INERTIA } else { pruning.mode(&moves, true) };
                epoch.run(self, &state.centres, mode)?.known_inertia()
            }
        };
        let counts = epoch.counts();
        let model = self.model(epoch, &state.centres, inertia, state.iterations, &counts);
        Ok(Model { interrupted: stop, ..model })
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
        let made = Epoch::new(self, clusters, plan(centres, &[]), Keeps::NOTHING);
        let epoch = self.agreed(made, |epoch| vec![epoch.graph()])?;
        let inertia = epoch.run(self, &centred, Mode::WHOLE)?.known_inertia();
        let counts = epoch.counts();
        Ok(self.model(epoch, &centred, inertia, 0, &counts))
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

    /// Centres as they were before `centred`.
    pub(crate) fn shifted(&self, centred: &[T]) -> Vec<T> {
        let rows = centred.chunks_exact(self.columns());
        let shifted = |(value, mean): (&T, &T)| T::narrow(value.widen() + mean.widen());
        rows.flat_map(|row| row.iter().zip(self.origin().iter()).map(shifted)).collect()
    }

    pub(crate) fn model(
        &self,
        epoch: Epoch<T>,
        centred: &[T],
        inertia: f64,
        iterations: usize,
        counts: &[i64],
    ) -> Model<T> {
        let centres = self.shifted(centred);
        let clusters = counts.iter().filter(|&&count| count > 0).count();
        Model { centres, inertia, tolerance: 0.0, iterations, clusters, interrupted: false, labels: epoch.labels }
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

//! Reduces rows of a fused expression to words, span by span.
//!
//! A span is the run of rows whose elements combine without regard to others: a leaf if axis 0 is reduced,
//! else a single row. Within a span elements combine in an order that follows from the shape and the span's
//! number of rows alone: neither tiles nor the pieces of the machine show in the bits.

use super::machine::{Elements, Machine, PIECE};
use crate::dtype::DType;
use crate::expr::Reduction;
use crate::kernel::fold::{self, Fold};
use crate::kernel::lanes::{LANES, runs_of_products};
use crate::kernel::pairwise::Pairwise;
use crate::shape::Shape;
use std::ops::Range;

/// A reduction of arrays of one shape and type.
#[derive(Clone, Debug)]
pub(super) struct Folding {
    pub(super) fold: Fold,
    /// The type of what is reduced.
    pub(super) dtype: DType,
    /// Whether axis 0 is reduced, so that partial results of leaves combine.
    pub(super) across_rows: bool,
    /// Values that a span leaves.
    pub(super) width: usize,
    /// Words of a value.
    unit: usize,
    shape: Shape,
    reduced: Vec<bool>,
}

/// How the elements of a span of some number of rows combine.
struct Span {
    elements: usize,
    /// Elements that follow one another and are reduced together, or go to as many words.
    run: usize,
    kept: bool,
    /// Lengths, and steps in values, of the axes outside of a run.
    outer: Vec<(usize, usize)>,
    /// Values that the span is combined in.
    words: usize,
    /// Elements of a piece; pieces begin anew at multiples of `restart`.
    piece: usize,
    restart: usize,
}

impl Folding {
    pub(super) fn new(reduction: &Reduction, dtype: DType, shape: &Shape) -> Folding {
        let reduced: Vec<bool> = (0..shape.len()).map(|axis| reduction.axes.contains(&axis)).collect();
        let kept = |(axis, &reduced): (usize, &bool)| if reduced { 1 } else { shape[axis] };
        let width = reduced.iter().enumerate().skip(1).map(kept).product();
        let across_rows = reduced.first().copied().unwrap_or(false);
        Folding {
            fold: reduction.fold,
            dtype,
            across_rows,
            width,
            unit: fold::unit(reduction.fold, dtype),
            shape: shape.clone(),
            reduced,
        }
    }

    /// Reduces `rows` in spans of `span_rows`; `emit` gets the words of one or more spans and the number of the
    /// first of them, in order.
    pub(super) fn rows(
        &self,
        machine: &mut Machine<'_>,
        rows: &Range<usize>,
        span_rows: usize,
        mut emit: impl FnMut(usize, &[u64]),
    ) {
        let row_elements = self.shape.row_elements();
        let span = self.span(span_rows);
        let mut state = State {
            words: vec![0; span.words * self.unit],
            partials: Vec::new(),
            pairwise: Pairwise::default(),
            best: None,
        };
        let whole = rows.len() / span_rows;
        if span.elements == 0 {
            state.begin(self);
            (0..rows.len().div_ceil(span_rows)).for_each(|index| emit(index, &state.words[..self.width * self.unit]));
            return;
        }
        machine.split_product(self.takes_products(&span));
        let whole_runs = span.run == span.elements && !span.kept;
        // Short spans share a piece of the machine, which has a price for each instruction.
        let together = (machine.longest() / span.elements).clamp(1, whole.max(1));
        let bytes = self.dtype.bytes();
        let mut index = 0;
        while index < whole {
            let start = rows.start * row_elements + index * span.elements;
            if (together > 1 || whole_runs) && span.elements <= span.piece {
                let count = together.min(whole - index);
                machine.compute(start, count * span.elements);
                let elements = machine.elements(start, count * span.elements);
                if whole_runs {
                    emit(index, state.whole_spans(self, &span, start, elements));
                    index += count;
                    continue;
                }
                for (i, elements) in elements.chunks(span.elements * bytes).enumerate() {
                    state.begin(self);
                    state.piece(self, &span, (start + i * span.elements, 0), elements);
                    emit(index + i, state.finish(self));
                }
                index += count;
            } else {
                self.one_span(machine, &span, start, &mut state);
                emit(index, state.finish(self));
                index += 1;
            }
        }
        let rest = rows.len() - whole * span_rows;
        if rest > 0 {
            let span = self.span(rest);
            machine.split_product(self.takes_products(&span));
            state.words.resize(span.words * self.unit, 0);
            self.one_span(machine, &span, (rows.end - rest) * row_elements, &mut state);
            emit(whole, state.finish(self));
        }
    }

    /// Whether a product need not be made before it is summed: not in short runs, which combine in another order.
    fn takes_products(&self, span: &Span) -> bool {
        self.fold == Fold::Sum && !span.kept && span.run.min(span.piece) >= LANES
    }

    fn one_span(&self, machine: &mut Machine<'_>, span: &Span, start: usize, state: &mut State) {
        state.begin(self);
        for unit in (0..span.elements).step_by(span.restart) {
            let end = (unit + span.restart).min(span.elements);
            for at in (unit..end).step_by(span.piece) {
                let length = span.piece.min(end - at);
                machine.compute(start + at, length);
                state.piece(self, span, (start, at), machine.elements(start + at, length));
            }
        }
    }

    fn span(&self, span_rows: usize) -> Span {
        let row_elements = self.shape.row_elements();
        let elements = span_rows * row_elements;
        let mut axes = self.axes(span_rows);
        let (mut run, reduced) = axes.pop().unwrap_or((1, true));
        let mut words = self.width;
        if !reduced && run < 32 && axes.len() == 1 {
            // Rows of few words: as many rows side by side as make a worthwhile run, combined at the end.
            run *= 64 / run;
            words = run;
            axes.clear();
        }
        let mut step = if reduced { 1 } else { run };
        let mut outer = Vec::new();
        for (length, reduced) in axes.into_iter().rev() {
            outer.push((length, if reduced { 0 } else { step }));
            step *= if reduced { 1 } else { length };
        }
        outer.reverse();
        let (piece, restart) = if row_elements > PIECE {
            if run <= PIECE { (PIECE / run * run, row_elements) } else { (PIECE, run) }
        } else {
            let unit = if run <= PIECE { run.max(row_elements) } else { row_elements };
            (PIECE / unit.max(1) * unit.max(1), elements.max(1))
        };
        Span { elements, run, kept: !reduced, outer, words, piece, restart }
    }

    /// The axes of a span with lengths of one left out and neighbours of one kind joined.
    fn axes(&self, span_rows: usize) -> Vec<(usize, bool)> {
        let mut axes: Vec<(usize, bool)> = Vec::new();
        // Without axis 0 among the reduced, a span is one row, and axis 0 leaves no trace.
        let rows = (span_rows, self.across_rows);
        let inner = self.shape.iter().copied().zip(self.reduced.iter().copied()).skip(1);
        for (length, reduced) in std::iter::once(rows).chain(inner).filter(|&(length, _)| length != 1) {
            match axes.last_mut() {
                Some((last, kind)) if *kind == reduced => *last *= length,
                _ => axes.push((length, reduced)),
            }
        }
        axes
    }
}

struct State {
    words: Vec<u64>,
    partials: Vec<u64>,
    pairwise: Pairwise,
    /// The most extreme element of the spans before, of folds of places that combine all spans.
    best: Option<u64>,
}

impl State {
    fn begin(&mut self, folding: &Folding) {
        folding.fold.clear(folding.dtype, &mut self.words);
    }

    /// Takes the elements from `at` on, counted in the span, which begins with the element `start`.
    fn piece(&mut self, folding: &Folding, span: &Span, (start, at): (usize, usize), elements: Elements<'_>) {
        let (fold, dtype, unit) = (folding.fold, folding.dtype, folding.unit);
        let (bytes, values) = (dtype.bytes(), elements.values);
        if span.kept {
            if span.run <= PIECE && span.outer.iter().all(|&(_, step)| step == 0) {
                // Every run goes to the same words.
                return fold::accumulate(fold, dtype, values, &mut self.words[..span.run * unit]);
            }
            let mut at = at;
            for values in values.chunks(span.run.min(PIECE) * bytes) {
                let length = values.len() / bytes;
                let first = span.base(at / span.run) + at % span.run;
                fold::accumulate(fold, dtype, values, &mut self.words[first * unit..(first + length) * unit]);
                at += length;
            }
            return;
        }
        self.runs(folding, span, elements);
        self.settle(folding, span, (start, at));
        if span.run <= PIECE {
            for (i, partial) in self.partials.chunks(unit).enumerate() {
                let word = span.base(at / span.run + i) * unit;
                fold::combine(fold, dtype, &mut self.words[word..word + unit], partial);
            }
            return;
        }
        for partial in self.partials.chunks(unit) {
            self.pairwise.push(fold, dtype, partial);
        }
        let end = at + values.len() / bytes;
        if end.is_multiple_of(span.run) {
            let (word, partial) = (span.base(at / span.run) * unit, self.pairwise.finish(fold, dtype));
            fold::combine(fold, dtype, &mut self.words[word..word + unit], &partial[..unit]);
        }
    }

    /// Places were counted in their runs: from here in what is reduced, all elements or a line of them.
    fn settle(&mut self, folding: &Folding, span: &Span, (start, at): (usize, usize)) {
        if folding.fold.is_place() {
            let (first, step) = if folding.across_rows { (start + at, span.run) } else { (at % span.run, 0) };
            for (i, words) in self.partials.chunks_exact_mut(2).enumerate() {
                words[1] = words[1].saturating_add((first + i * step) as u64);
            }
        }
    }

    /// The words of each run.
    fn runs(&mut self, folding: &Folding, span: &Span, elements: Elements<'_>) {
        self.partials.clear();
        match elements.factors {
            Some(factors) => runs_of_products(folding.dtype, elements.values, factors, span.run, &mut self.partials),
            None => fold::runs(folding.fold, folding.dtype, elements.values, span.run, &mut self.partials),
        }
    }

    /// Takes spans of one run each from the element `start` on, which leave a value each.
    fn whole_spans(&mut self, folding: &Folding, span: &Span, start: usize, elements: Elements<'_>) -> &[u64] {
        if folding.fold.is_place() && folding.across_rows {
            self.partials.clear();
            let (values, partials) = (elements.values, &mut self.partials);
            fold::leading_runs(folding.fold, folding.dtype, values, span.run, &mut self.best, partials);
        } else {
            self.runs(folding, span, elements);
        }
        self.settle(folding, span, (start, 0));
        &self.partials
    }

    fn finish(&mut self, folding: &Folding) -> &[u64] {
        let width = folding.width * folding.unit;
        let (first, copies) = self.words.split_at_mut(width);
        for copy in copies.chunks(width.max(1)) {
            fold::combine(folding.fold, folding.dtype, first, copy);
        }
        first
    }
}

impl Span {
    /// The first value of a run.
    fn base(&self, run: usize) -> usize {
        let mut rest = run;
        let mut base = 0;
        for &(length, step) in self.outer.iter().rev() {
            base += rest % length * step;
            rest /= length;
        }
        base
    }
}

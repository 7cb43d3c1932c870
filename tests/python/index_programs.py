"""Random programs of views, indices, assignments and operators in place, each on girih and on NumPy at once.

Invariant: after every step every array of a program equals its twin, whichever of them was written through; errors
are of the same class. Programs follow from their seed alone, so all ranks run the same ones.
"""

from __future__ import annotations

import numpy as np

import girih as gr

SHAPES = [(5,), (7, 4), (3, 4, 5), (0, 3), (2, 1, 3, 2), (20_011,), (9001, 3), (500, 5, 9), (4, 4099)]
DTYPES = ("float64", "float32", "int64", "bool", "int16", "complex128")


class Program:
    """Arrays of both kinds, step by step."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype = str(self.rng.choice(DTYPES))
        values = self.rng.standard_normal(SHAPES[self.rng.integers(len(SHAPES))]) * 9
        whole = values.astype(self.dtype)
        self.pairs = [(gr.asarray(whole), whole.copy())]

    def index(self, shape, arrays):
        """An index, of slices and integers alone or with arrays."""
        rng, parts, axis = self.rng, [], 0
        count = rng.integers(0, len(shape) + 1)
        together = tuple(rng.integers(0 if rng.random() < 0.05 else 1, 4, rng.integers(1, 3)))
        while axis < count:
            length, kind = shape[axis], rng.integers(0, 9)
            if kind < 2 and length:
                parts.append(int(rng.integers(-length, length + (rng.random() < 0.02))))
            elif kind < 5 or not arrays:
                bounds = [None if rng.random() < 0.4 else int(rng.integers(-length - 2, length + 3)) for _ in range(2)]
                parts.append(slice(*bounds, int(rng.choice([1, 1, 2, 3, -1, -2]))))
            elif kind == 5:
                parts.append(rng.random(length) < 0.5)
            elif kind == 6 and axis + 1 < count:
                parts.append(rng.random(shape[axis : axis + 2]) < 0.5)
                axis += 1
            else:
                lengths = together if rng.random() < 0.7 else tuple(1 if rng.random() < 0.5 else n for n in together)
                parts.append(rng.integers(-length, length, lengths) if length else np.zeros(lengths, int))
            axis += 1
            if rng.random() < 0.1:
                parts.append(None)
        if rng.random() < 0.25:
            parts.insert(rng.integers(0, len(parts) + 1), Ellipsis)
        return tuple(parts)

    def value(self, shape):
        """What is written to elements of this shape: anything that broadcasts."""
        rng = self.rng
        lengths = shape[rng.integers(0, len(shape) + 1) :] if shape else ()
        lengths = tuple(1 if rng.random() < 0.15 else length for length in lengths)
        number = (rng.standard_normal(lengths) * 9).astype(rng.choice(["float64", "int64", "float32"]))
        return number if rng.random() < 0.8 else 7

    def step(self):
        """One random operation; what differs, in words."""
        rng = self.rng
        ours, theirs = self.pairs[rng.integers(len(self.pairs))]
        kind = rng.integers(0, 6)
        if kind == 0:
            at = self.index(theirs.shape, False)
            return self.both(f"view {at}", lambda x: x[at], (ours, theirs), keep=True)
        if kind == 1:
            at = self.index(theirs.shape, True)
            return self.both(f"get {at}", lambda x: x[at], (ours, theirs))
        if kind in (2, 3):
            at = self.index(theirs.shape, kind == 3)
            try:
                value = self.value(np.shape(theirs[at]))
            except IndexError:
                value = 3
            return self.both(f"set {at}", lambda x: x.__setitem__(at, value), (ours, theirs))
        if kind == 4:
            turns = [lambda x: x.T, lambda x: x.reshape(-1), lambda x: x.reshape((1, *x.shape)), lambda x: x[::-1]]
            return self.both("turn", turns[rng.integers(4) if theirs.ndim else 1], (ours, theirs), keep=True)
        factor = True if self.dtype == "bool" else [2, 2.5][rng.integers(2)]
        in_place = (lambda x: x.__ior__(factor)) if factor is True else (lambda x: x.__imul__(factor))
        return self.both(f"*= {factor}", in_place, (ours, theirs))

    def both(self, what, run, pair, keep=False):
        """Runs it on both; results and errors must agree."""
        found, errors = [], []
        for array in pair:
            try:
                found.append(run(array))
                errors.append(None)
            except (IndexError, ValueError, TypeError) as error:
                found.append(None)
                errors.append(error)
        if (errors[0] is None) != (errors[1] is None) or not (
            errors[1] is None or isinstance(errors[1], type(errors[0]))
        ):
            return f"{what}: {errors[0]!r}, not {errors[1]!r}"
        if (
            isinstance(found[1], np.ndarray | np.generic)
            and errors[1] is None
            and not np.shares_memory(pair[1], found[1])
        ):
            if not same(found[0], found[1]):
                return f"{what} gave something else"
        elif keep and isinstance(found[1], np.ndarray):
            self.pairs.append((found[0], found[1]))
        return None

    def different(self):
        """Whether some array has become another one than its twin."""
        return next((number for number, pair in enumerate(self.pairs) if not same(*pair)), None)


def same(ours, theirs):
    """Whether shape, dtype and elements agree."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    alike = ours.shape == theirs.shape and ours.dtype == theirs.dtype
    return alike and np.array_equal(ours, theirs, equal_nan=theirs.dtype.kind in "fc")


def main(first, count):
    """What went wrong in these programs."""
    wrong = []
    for seed in range(first, first + count):
        program = Program(seed)
        for step in range(int(program.rng.integers(1, 7))):
            complaint = program.step()
            different = program.different()
            if complaint or different is not None:
                wrong.append(f"program {seed}, step {step}: {complaint}, array {different}")
                break
    return wrong

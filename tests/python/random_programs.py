"""Random programs on arrays: recorded by girih without looking, then each step checked by NumPy on girih's own inputs.

Invariant: what a program does follows from its seed and from shapes and dtypes, never from the number of ranks; so
its digest must not either. Errors are part of it: a step that NumPy refuses must be refused with the same exception.
Checked by step, because NumPy gets the very inputs that girih had: no error grows, and tolerances can be tight.
"""

from __future__ import annotations

import hashlib
import warnings

import numpy as np

import girih as gr

DTYPES = (
    "float64", "float32", "int64", "bool", "int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64", "float16",
    "complex64", "complex128",
)  # fmt: skip
SHARES = [0.3, 0.16, 0.14, 0.1, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03]
ROWS = (0, 1, 2, 3, 5, 64, 1000, 4099, 9001, 20_011)
COLUMNS = (0, 1, 2, 3, 7)
STEPS_MAX = 9
EXACT = (
    "add subtract multiply divide floor_divide remainder maximum minimum fmax fmin copysign bitwise_and bitwise_or "
    "bitwise_xor equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor"
).split()
NEAR = ["arctan2", "hypot"]
UNARY_EXACT = (
    "negative absolute sign square floor ceil trunc rint isnan isinf isfinite signbit logical_not sqrt invert "
    "reciprocal"
).split()
UNARY_NEAR = (
    "exp expm1 log log1p log2 log10 sin cos tan arcsin arccos arctan sinh cosh tanh cbrt exp2 arcsinh arccosh arctanh"
).split()
REDUCTIONS = ["sum", "mean", "min", "max", "any", "all", "prod", "var", "std", "count_nonzero"]
EXACTLY = None
SIGN_OF_ZERO_IS_FREE = {"maximum", "minimum", "fmax", "fmin", "clip", "min", "max"}


class Step:
    """One operation: `run(module, operands)` for girih or NumPy, and how closely they must agree."""

    def __init__(self, name, run, inputs, tolerance="exact"):
        self.name, self.run, self.inputs, self.tolerance = name, run, inputs, tolerance


def values(rng, shape, dtype):
    """Elements with everything awkward in them, now and then."""
    if dtype == "bool":
        return rng.random(shape) < rng.choice([0.1, 0.5, 0.99])
    if dtype.startswith("complex"):
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    if "int" in dtype:
        info = np.iinfo(dtype)
        found = rng.integers(max(info.min, -9), 10, shape).astype(dtype)
        extremes = np.array([info.min, info.max, 0, 1], dtype)
        odd = rng.choice(extremes, shape)
        return np.where(rng.random(shape) < 0.01, odd, found) if rng.random() < 0.4 else found
    found = rng.standard_normal(shape) * rng.choice([1.0, 1.0, 100.0])
    if rng.random() < 0.4:
        odd = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.0], shape)
        found = np.where(rng.random(shape) < 0.01, odd, found)
    return found.astype(dtype)


def scalar(rng):
    """A number as users write it: Python's own are weak, NumPy's are not."""
    number = rng.choice([-3.0, -1.0, 0.0, 0.5, 1.0, 2.0, 7.0])
    kind = rng.integers(7)
    if kind < 3:
        return [int(number), float(number), bool(number > 0)][kind]
    return [np.float64(number), np.float32(number), np.int64(number), np.bool_(number > 0)][kind - 3]


def index(rng, shape):
    """A basic index, at times beyond the array."""
    parts = []
    for length in shape[: rng.integers(1, len(shape) + 1)] if shape else ():
        kind = rng.integers(6)
        if kind == 0:
            parts.append(int(rng.integers(-length - 1, length + 1)))
        elif kind == 1:
            parts.append(slice(None))
        else:
            bounds = [None if rng.random() < 0.3 else int(rng.integers(-length - 3, length + 4)) for _ in range(2)]
            parts.append(slice(*bounds, int(rng.choice([1, 1, 2, 3, 1001, -1, -1, -2, -7]))))
    if rng.random() < 0.2:
        parts.insert(rng.integers(len(parts) + 1), Ellipsis)
    if rng.random() < 0.2:
        parts.insert(rng.integers(len(parts) + 1), None)
    return parts[0] if len(parts) == 1 and rng.random() < 0.5 else tuple(parts)


def axes(rng, dimensions):
    kind = rng.integers(4)
    if kind == 0 or dimensions == 0:
        return None
    if kind == 3:
        count = int(rng.integers(0, dimensions + 1))
        return tuple(int(axis) - dimensions for axis in rng.permutation(dimensions)[:count])
    return int(rng.integers(-dimensions, dimensions + (rng.random() < 0.05)))


def propose(rng, pool):
    """A random next step on what there is, None for none; `pool` is only asked for shapes and dtypes."""

    def pick():
        # The newest most, so that chains grow.
        return int(rng.integers(len(pool))) if rng.random() < 0.5 else len(pool) - 1

    kinds = {
        pair: 0.17, with_number: 0.1, alone: 0.1, reduced: 0.15, indexed: 0.1, reshaped: 0.04, transposed: 0.05,
        chosen: 0.05, clipped: 0.03, converted: 0.05, multiplied: 0.05, raised: 0.03, beside_numpy: 0.02,
        spread: 0.02, sent_round: 0.01, redistributed: 0.03,
    }  # fmt: skip
    return list(kinds)[rng.choice(len(kinds), p=list(kinds.values()))](rng, pool, pick)


def pair(rng, pool, pick):
    x, y = pick(), pick()
    # Most pairs do not broadcast; a few tries, and what is refused must be refused alike.
    for _ in range(4):
        if fits(tuple(pool[x].shape), tuple(pool[y].shape)):
            break
        y = int(rng.integers(len(pool)))
    name = str(rng.choice(EXACT + NEAR))
    return Step(name, lambda m, o: getattr(m, name)(o[0], o[1]), [x, y], "near" if name in NEAR else "exact")


def with_number(rng, pool, pick):
    number, name, swapped = scalar(rng), str(rng.choice(EXACT)), rng.random() < 0.4
    sides = (lambda o: (number, o[0])) if swapped else (lambda o: (o[0], number))
    return Step(f"{name} with {number!r}", lambda m, o: getattr(m, name)(*sides(o)), [pick()])


def alone(rng, pool, pick):
    name = str(rng.choice(UNARY_EXACT + UNARY_NEAR))
    return Step(name, lambda m, o: getattr(m, name)(o[0]), [pick()], "near" if name in UNARY_NEAR else "exact")


def reduced(rng, pool, pick):
    x = pick()
    name, axis, keep = str(rng.choice(REDUCTIONS)), axes(rng, len(pool[x].shape)), bool(rng.random() < 0.3)
    options = {"ddof": 1} if name in ("var", "std") and rng.random() < 0.3 else {}
    return Step(
        f"{name} {axis} {keep} {options}",
        lambda m, o: getattr(m, name)(o[0], axis=axis, keepdims=keep, **options),
        [x],
        (name, axis, keep, options),
    )


def indexed(rng, pool, pick):
    x = pick()
    at = index(rng, tuple(pool[x].shape))
    return Step(f"[{at}]", lambda m, o: o[0][at], [x])


def reshaped(rng, pool, pick):
    x = pick()
    size = int(np.prod(pool[x].shape))
    wanted = [[-1], [size, 1], [1, -1], [-1, 7], [3, -1], [2, 2, -1], [size], [-1, 2, 1], [size, 0], [0, -1]]
    lengths = wanted[rng.integers(len(wanted))]
    return Step(f"reshape {lengths}", lambda m, o: o[0].reshape(*lengths), [x])


def transposed(rng, pool, pick):
    return Step("transpose", lambda m, o: o[0].T, [pick()])


def chosen(rng, pool, pick):
    number = scalar(rng)
    if rng.random() < 0.4:
        return Step(f"where {number!r}", lambda m, o: m.where(o[0], o[1], number), [pick(), pick()])
    return Step("where", lambda m, o: m.where(o[0], o[1], o[2]), [pick(), pick(), pick()])


def clipped(rng, pool, pick):
    low, high = scalar(rng), scalar(rng)
    return Step(f"clip {low!r} {high!r}", lambda m, o: m.clip(o[0], low, high), [pick()])


def converted(rng, pool, pick):
    to = str(rng.choice(DTYPES))
    return Step(f"astype {to}", lambda m, o: o[0].astype(to), [pick()])


def multiplied(rng, pool, pick):
    x, y = pick(), pick()
    for _ in range(6):
        left, right = tuple(pool[x].shape), tuple(pool[y].shape)
        if len(left) in (1, 2) and len(right) in (1, 2) and left[-1] == right[0]:
            break
        x, y = pick(), int(rng.integers(len(pool)))
    if max(len(pool[x].shape), len(pool[y].shape)) > 2:
        return None  # girih has no stacks of matrices
    return Step("matmul", lambda m, o: o[0] @ o[1], [x, y], "matmul")


def raised(rng, pool, pick):
    exponent = [2, 0, 1, 3, 0.5, 2.0, -1.0, 1.5, np.float64(2)][rng.integers(9)]
    return Step(f"** {exponent!r}", lambda m, o: o[0] ** exponent, [pick()], "near")


def beside_numpy(rng, pool, pick):
    x = pick()
    other = values(rng, tuple(pool[x].shape)[-1:], str(rng.choice(DTYPES)))
    if rng.random() < 0.5:
        return Step(f"NumPy's {other.dtype} -", lambda m, o: other - o[0], [x])
    return Step(f"< NumPy's {other.dtype}", lambda m, o: o[0] < other, [x])


def spread(rng, pool, pick):
    x = pick()
    lengths = (3, *(1 for _ in pool[x].shape))
    return Step("ones *", lambda m, o: m.ones(lengths, dtype=o[0].dtype) * o[0], [x])


def sent_round(rng, pool, pick):
    return Step("round trip", lambda m, o: round_trip(o[0]), [pick()])


def redistributed(rng, pool, pick):
    x = pick()
    axis = int(rng.integers(-1, len(pool[x].shape)))
    to = None if axis < 0 else axis
    return Step(f"redistribute {to}", lambda m, o: o[0].redistribute(to) if m is gr else o[0], [x])


def fits(left, right):
    try:
        np.broadcast_shapes(left, right)
    except ValueError:
        return False
    return True


def round_trip(x):
    """Through each rank's own part and back; nothing for what is whole everywhere."""
    if not isinstance(x, gr.Array) or x.distribution == "replicated":
        return x
    what, number, *_ = x.distribution.split()
    return gr.from_local(np.array(x.local), axis=0 if what == "rows" else int(number))


def expected(step, inputs):
    """What NumPy makes of inputs of these shapes and dtypes: an example of the result, or the exception."""
    examples = [np.ones(each.shape, each.dtype) for each in inputs]
    try:
        return np.asarray(step.run(np, examples)), None
    except Exception as error:
        return None, error


def start(rng):
    """The first arrays of a program, for girih: whole, or from each rank's part."""
    n, d = int(rng.choice(ROWS)), int(rng.choice(COLUMNS))
    shapes = [(n, d), (n, d), (n, 1), (1, d), (d,), (n,), (), (d, d), (d, 2), (2, n), (n, d, 2), (1,)]
    pool = []
    for _ in range(rng.integers(2, 5)):
        shape = shapes[rng.integers(len(shapes))]
        dtype = str(rng.choice(DTYPES, p=SHARES))
        whole = values(rng, shape, dtype)
        cuts = np.sort(rng.random(8))
        if shape and rng.random() < 0.3:
            # Uneven parts, some of them empty.
            inner = np.round(cuts[: gr.size() - 1] * shape[0]).astype(int)
            bounds = [0, *inner, shape[0]]
            pool.append(gr.from_local(whole[bounds[gr.rank()] : bounds[gr.rank() + 1]]))
        else:
            pool.append(gr.asarray(whole))
    if rng.random() < 0.3:
        created = [
            lambda: gr.arange(n), lambda: gr.arange(n, 0, -3), lambda: gr.linspace(-1.0, 2.0, n),
            lambda: gr.eye(n % 1000, d, k=1), lambda: gr.full((n, d), 2.5), lambda: gr.zeros((n,), dtype="float32"),
        ]  # fmt: skip
        pool.append(created[rng.integers(len(created))]())
    return pool


def run(seed, check):
    """Runs the program of a seed; returns its digest. `check` also asks NumPy about each step."""
    rng = np.random.default_rng(seed)
    pool, steps, log = start(rng), [], []
    first = len(pool)
    for _ in range(rng.integers(2, STEPS_MAX)):
        step = propose(rng, pool)
        if step is None:
            continue
        inputs = [pool[index] for index in step.inputs]
        example, refusal = expected(step, inputs)
        if example is not None and (str(example.dtype) not in DTYPES or example.size > 400_000):
            continue
        try:
            result = step.run(gr, inputs)
        except Exception as error:
            same = isinstance(error, type(refusal)) or isinstance(refusal, type(error))
            assert same, f"seed {seed}, {step.name}: {error!r}, NumPy raises {refusal!r}, {described(inputs)}"
            log.append(f"{type(error).__name__}: {error}")
            continue
        assert refusal is None, f"seed {seed}, {step.name}: NumPy raises {refusal!r}, {described(inputs)}"
        found = (tuple(result.shape), str(result.dtype))
        wanted = (example.shape, str(example.dtype))
        assert found == wanted, f"seed {seed}, {step.name}: {found}, NumPy {wanted}, {described(inputs)}"
        pool.append(result)
        steps.append(step)
    # The last one first, so that it is computed from what was only recorded.
    order = list(range(len(pool)))[::-1]
    arrays = {index: np.asarray(pool[index]) for index in order}
    digest = hashlib.sha256("\n".join(log).encode())
    for index in order:
        digest.update(arrays[index].tobytes())
    if check:
        for number, step in enumerate(steps):
            inputs = [arrays[index] for index in step.inputs]
            compare(f"seed {seed}, {step.name} of {described(inputs)}", step, inputs, arrays[first + number])
    return digest.hexdigest()


def described(inputs):
    return ", ".join(f"{each.dtype}{tuple(each.shape)}" for each in inputs)


def compare(name, step, inputs, ours):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if step.tolerance == "matmul":
            theirs, slack = product(*inputs)
        elif isinstance(step.tolerance, tuple):
            theirs, slack = reduction(inputs[0], *step.tolerance)
        else:
            theirs = np.asarray(step.run(np, inputs))
            # The length of a complex number is a root of a sum of squares, which libraries round differently.
            length = step.name == "absolute" and inputs[0].dtype.kind == "c"
            slack = EXACTLY if step.tolerance == "exact" and not length else near(theirs)
        if ours.dtype.kind == "c":
            # A complex product has no one order of operations, and C99 leaves the parts of what is not finite open.
            slack = near(theirs) if slack is EXACTLY else slack
            same = (np.abs(ours - theirs) <= slack) | (ours == theirs) | ~(np.isfinite(ours) | np.isfinite(theirs))
            same |= ~np.isfinite(slack)
        elif slack is EXACTLY or ours.dtype.kind != "f":
            same = (ours == theirs) | ((ours != ours) & (theirs != theirs))
            if ours.dtype.kind == "f" and step.name.split()[0] not in SIGN_OF_ZERO_IS_FREE:
                same &= (np.signbit(ours) == np.signbit(theirs)) | (theirs != 0)
        else:
            same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs)) | (np.abs(ours - theirs) <= slack)
            same |= ~np.isfinite(slack)
        if step.name.startswith("astype") and ours.dtype.kind in "iu" and inputs[0].dtype.kind in "fc":
            # C leaves open what becomes of a number that the integer cannot hold.
            whole, limits = np.trunc(np.real(inputs[0])), np.iinfo(ours.dtype)
            same |= ~((whole >= limits.min) & (whole <= limits.max))
    if not np.all(same):
        at = tuple(int(place[0]) for place in np.nonzero(~same)) if ours.ndim else ()
        raise AssertionError(f"{name}: {ours[at]!r} at {at}, NumPy {np.asarray(theirs)[at]!r}; slack {slack!r}")


def near(values):
    """A few units in the last place: mathematics libraries differ by that much."""
    if values.dtype.kind not in "fc":
        return EXACTLY
    info = np.finfo(values.dtype)
    return 16 * info.eps * np.abs(values) + 16 * info.smallest_normal


def product(x, y):
    theirs = np.asarray(x @ y)
    if theirs.dtype.kind not in "fc":
        return theirs, EXACTLY
    wide = [np.abs(each.astype(np.complex128)) for each in (x, y)]
    magnitude = wide[0] @ wide[1]
    return theirs, (2 * x.shape[-1] + 8) * np.finfo(theirs.dtype).eps * magnitude


def reduction(x, name, axis, keep, options):
    theirs = np.asarray(getattr(np, name)(x, axis=axis, keepdims=keep, **options))
    if theirs.dtype.kind not in "fc" or name in ("min", "max"):
        return theirs, EXACTLY
    wide = x.astype(np.clongdouble if x.dtype.kind == "c" else np.longdouble)
    # What is beyond the type on the way, as the square that a deviation is the root of, is so for both.
    beyond = np.isinf(theirs)
    exact = np.asarray(getattr(np, name)(wide, axis=axis, keepdims=keep, **options)).astype(theirs.dtype)
    theirs = np.where(beyond, theirs, exact)
    eps = np.finfo(theirs.dtype).eps
    magnitude = np.abs(wide)
    if name in ("sum", "mean"):
        return theirs, 8 * eps * getattr(np, name)(magnitude, axis=axis, keepdims=keep)
    if name == "prod":
        count = max(1, x.size // max(1, theirs.size))
        moderate = np.all((magnitude > 1e-3) & (magnitude < 1e3)) and count < 12
        return theirs, 4 * count * eps * np.abs(theirs) if moderate else np.full(theirs.shape, np.inf)
    # Deviations are rounded as elements are.
    largest = np.max(magnitude, axis=axis, keepdims=keep, initial=0)
    slack = 32 * eps * largest * (largest if name == "var" else 1)
    return theirs, np.where(largest > 1e15, np.inf, slack) if name == "var" else np.sqrt(eps) * largest


def main(first, last, check):
    """The digests of the programs of these seeds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.array([run(seed, check) for seed in range(first, last)])

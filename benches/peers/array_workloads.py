"""The array workloads of `bench-arrays`, written once for every library that has NumPy's names.

Each is a function of the library's module and of its arrays. Never here: clocks, libraries.
"""

import numpy as np


def black_scholes(m, d):
    """Prices of calls, with the logistic approximation of the normal distribution."""
    s, k, t = d["price"], d["strike"], d["years"]
    root = 0.3 * m.sqrt(t)
    d1 = (m.log(s / k) + (0.02 + 0.045) * t) / root
    phi = [1 / (1 + m.exp(-1.5976 * z - 0.07056 * z * z * z)) for z in (d1, d1 - root)]
    return s * phi[0] - k * m.exp(-0.02 * t) * phi[1]


def softmax(m, d):
    shifted = m.exp(d["tall"] - m.max(d["tall"], axis=1, keepdims=True))
    return shifted / m.sum(shifted, axis=1, keepdims=True)


def logistic_step(m, d):
    """One step of gradient descent."""
    predicted = 1 / (1 + m.exp(-(d["tall"] @ d["weights"])))
    return d["weights"] - 0.1 * (d["tall"].T @ (predicted - d["labels"])) / len(d["labels"])


def jacobi(m, d):
    g = d["grid"]
    return 0.25 * (g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:])


# Name: what it computes, and the vectors of float64 that it must move at least, if that is what bounds it.
WORKLOADS = {
    "add": (lambda m, d: d["x"] + d["y"], 3),
    "scale": (lambda m, d: 2.5 * d["x"], 2),
    "axpy": (lambda m, d: 2.5 * d["x"] + d["y"], 3),
    "divide": (lambda m, d: d["x"] / d["price"], 3),
    "square root": (lambda m, d: m.sqrt(d["price"]), 2),
    "compare": (lambda m, d: d["x"] < d["y"], 2),
    "where": (lambda m, d: m.where(d["x"] > 0, d["x"], d["y"]), 3),
    "clip": (lambda m, d: m.clip(d["x"], -0.5, 0.5), 2),
    "absolute": (lambda m, d: m.absolute(d["x"]), 2),
    "float32 add": (lambda m, d: d["x32"] + d["x32"] * 2, 1),
    "int64 add": (lambda m, d: d["n"] + 7, 2),
    "int64 floor divide": (lambda m, d: d["n"] // 7, None),
    "complex multiply": (lambda m, d: d["z"] * d["z"], None),
    "cast to float32": (lambda m, d: d["x"].astype("float32"), None),
    "exp": (lambda m, d: m.exp(d["x"]), None),
    "log": (lambda m, d: m.log(d["price"]), None),
    "sin": (lambda m, d: m.sin(d["x"]), None),
    "tanh": (lambda m, d: m.tanh(d["x"]), None),
    "power": (lambda m, d: d["price"] ** 1.5, None),
    "sin² + cos²": (lambda m, d: m.sin(d["x"]) ** 2 + m.cos(d["x"]) ** 2, None),
    "sum": (lambda m, d: m.sum(d["x"]), 1),
    "sum of columns": (lambda m, d: m.sum(d["tall"], axis=0), 1),
    "sum of rows": (lambda m, d: m.sum(d["tall"], axis=1), 1),
    "mean": (lambda m, d: m.mean(d["tall"], axis=0), 1),
    "std": (lambda m, d: m.std(d["tall"], axis=0), 2),
    "max": (lambda m, d: m.max(d["x"]), 1),
    "argmax": (lambda m, d: m.argmax(d["x"]), None),
    "any": (lambda m, d: m.any(d["x"] > 9), 1),
    "sum of squares": (lambda m, d: m.sum(d["x"] * d["x"]), 1),
    "dot": (lambda m, d: d["x"] @ d["y"], 2),
    "cumsum": (lambda m, d: m.cumsum(d["x"]), 3),
    "diff": (lambda m, d: m.diff(d["x"]), 2),
    "a row for all": (lambda m, d: d["tall"] - d["weights"], 2),
    "transpose": (lambda m, d: d["grid"].T + 0.0, 2),
    "Black-Scholes": (black_scholes, None),
    "z-score": (lambda m, d: (d["tall"] - m.mean(d["tall"], axis=0)) / m.std(d["tall"], axis=0), 4),
    "Jacobi": (jacobi, 2),
    "softmax": (softmax, None),
    "logistic step": (logistic_step, None),
    "matmul": (lambda m, d: d["left"] @ d["right"], None),
    "gram": (lambda m, d: d["tall"].T @ d["tall"], None),
    "cholesky": (lambda m, d: m.linalg.cholesky(d["positive"]), None),
    "solve": (lambda m, d: m.linalg.solve(d["left"], d["right"]), None),
    "inverse": (lambda m, d: m.linalg.inv(d["left"]), None),
    "qr": (lambda m, d: m.absolute(m.linalg.qr(d["left"])[0]), None),
    "sort": (lambda m, d: m.sort(d["x"]), None),
    "fft": (lambda m, d: m.fft.fft(d["tall"], axis=1), None),
}


def data(elements):
    """The operands, as NumPy has them: vectors of so many numbers, and matrices of about as many."""
    rng, n = np.random.default_rng(0), elements
    side = max(4, int(n**0.5) // 2 * 2)
    x = rng.standard_normal(n)
    left = rng.standard_normal((1000, 1000))
    return {
        "x": x, "y": rng.standard_normal(n), "x32": x.astype(np.float32), "z": x[: n // 2] + 1j * x[n // 2 :][: n // 2],
        "n": rng.integers(-1000, 1000, n), "price": rng.uniform(10, 50, n), "strike": rng.uniform(10, 50, n),
        "years": rng.uniform(1, 2, n), "tall": rng.standard_normal((n // 64, 64)), "weights": rng.standard_normal(64),
        "labels": (rng.random(n // 64) < 0.5).astype(float), "grid": x[: side * side].reshape(side, side),
        "left": left, "positive": left @ left.T + 1000 * np.eye(1000), "right": rng.standard_normal((1000, 1000)),
    }  # fmt: skip


# Chains that one pass over the data computes.
FUSED = ("Black-Scholes", "z-score", "Jacobi", "softmax", "logistic step")

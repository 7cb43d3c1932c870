"""`make demo`: two photographs in 64 colours, by girih on 2 ranks and by scikit-learn on 2 threads.

Both start from the same 64 colours and work on the same float64 pixels. Prints one table for each photograph and
writes pictures, the original beside the result, into demo-output/.

The start is k-means++ and one iteration after it. Straight from k-means++ the colours are pixels, and hundreds of
others are exactly as far from one as from another: rounding would decide, and scikit-learn's own labels change by 0.2 %
when it is given the same pixels in another order. Means are equally far from nothing.
"""

import os

# Both sides get two cores; read when the libraries are loaded.
THREADS = 2
os.environ["OMP_NUM_THREADS"] = str(THREADS)
for trap in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(trap, None)

import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_sample_images
from sklearn.exceptions import ConvergenceWarning

from girih.cli.pictures import side_by_side

COLOURS = 64
RANKS = 2
SEED = 0
OUTPUT = Path("demo-output")
HERE = Path(__file__).parent


def main():
    console = Console()
    OUTPUT.mkdir(exist_ok=True)
    photographs = load_sample_images()
    for name, photograph in zip(photographs.filenames, photographs.images, strict=True):
        name = Path(name).stem
        image = photograph.astype(np.float64) / 255
        pixels = image.reshape(-1, 3)
        console.print(f"\n[bold]{name}[/bold]: {len(pixels)} pixels into {COLOURS} colours, on {RANKS} ranks")
        start = start_without_ties(pixels)
        ours, labels, centers = quantise_by_girih(pixels, start)
        theirs, their_labels = quantise_by_sklearn(pixels, start)
        equal = float(np.mean(labels == their_labels))
        console.print(comparison(name, ours, theirs, equal))
        picture = OUTPUT / f"{name}.png"
        side_by_side(image, centers[labels].reshape(image.shape), COLOURS, str(picture))
        console.print(f"wrote {picture}", highlight=False)


def start_without_ties(pixels):
    """The colours to start from; see the beginning of this file."""
    colours, _ = kmeans_plusplus(pixels, COLOURS, random_state=SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(COLOURS, init=colours, n_init=1, max_iter=1).fit(pixels).cluster_centers_


def quantise_by_girih(pixels, start):
    """Runs quantise.py on two ranks of one thread each; what it measured, the labels and the centres."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/pixels.npy", pixels)
        np.save(f"{folder}/start.npy", start)
        launch = [sys.executable, "-m", "girih", "run", "-n", str(RANKS), "--threads", str(THREADS // RANKS)]
        files = [f"{folder}/pixels.npy", f"{folder}/start.npy", f"{folder}/result"]
        status = subprocess.run([*launch, str(HERE / "quantise.py"), *files], check=False).returncode
        if status != 0:
            sys.exit(status)
        measured = json.loads(Path(f"{folder}/result.json").read_text())
        return measured, np.load(f"{folder}/result.labels.npy"), np.load(f"{folder}/result.centers.npy")


def quantise_by_sklearn(pixels, start):
    """The same measurements of scikit-learn, and its labels."""

    def fit(iterations_max):
        model = KMeans(len(start), init=start, n_init=1, max_iter=iterations_max, algorithm="lloyd")
        begin = time.perf_counter()
        model.fit(pixels)
        return model, time.perf_counter() - begin

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit(2)  # the first run touches fresh memory
        _, seconds_of_one = fit(1)
        model, seconds = fit(300)
    measured = {
        "iterations": model.n_iter_,
        "seconds": seconds,
        "seconds_per_iteration": (seconds - seconds_of_one) / max(model.n_iter_ - 1, 1),
        "inertia": model.inertia_,
    }
    return measured, model.labels_


def comparison(name, ours, theirs, equal):
    """Both sides' numbers as a table."""
    table = Table(title=f"{name}, k = {COLOURS}, same start, float64", title_justify="left")
    table.add_column("")
    table.add_column(f"girih\n{ours['ranks']} ranks × {ours['threads']} thread", justify="right")
    table.add_column(f"scikit-learn\n{THREADS} threads", justify="right")
    table.add_column("ratio", justify="right")

    def row(what, key, scale, pattern):
        mine, other = scale * ours[key], scale * theirs[key]
        table.add_row(what, pattern.format(mine), pattern.format(other), f"{mine / other:.3f}")

    row("time per iteration, ms", "seconds_per_iteration", 1e3, "{:.2f}")
    row("whole fit, ms", "seconds", 1e3, "{:.0f}")
    table.add_row("iterations", str(ours["iterations"]), str(theirs["iterations"]))
    table.add_row("inertia", f"{ours['inertia']:.6f}", f"{theirs['inertia']:.6f}")
    table.add_row("equal labels", f"{100 * equal:.4f} %")
    table.add_row("sent per iteration", ours["sent"])
    return table


if __name__ == "__main__":
    main()

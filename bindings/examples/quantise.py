"""Reduces the colours of an image: K-Means on its pixels, on as many ranks as there are.

    girih run -n 2 bindings/examples/quantise.py PIXELS.npy START.npy RESULT

Reads height·width × 3 colours and the k colours to start from; writes RESULT.labels.npy, RESULT.centers.npy and
RESULT.json, what rank 0 measured.
"""

import json
import sys
import time

import numpy as np

import girih as gr
from girih import _native
from girih.cli.kmeans import Watch, traffic_text


def fit(pixels, start, iterations_max, callback=None):
    """The fitted model and the seconds it took."""
    model = gr.cluster.KMeans(n_clusters=len(start), init=start, n_init=1, max_iter=iterations_max)
    gr.barrier()
    begin = time.perf_counter()
    model.fit(pixels, callback=callback)
    return model, time.perf_counter() - begin


def main():
    pixels_file, start_file, result = sys.argv[1:]
    pixels, start = gr.load(pixels_file), np.load(start_file)
    fit(pixels, start, 2)  # the first run touches fresh memory
    _, seconds_of_one = fit(pixels, start, 1)

    watch = Watch(300)
    with watch:
        model, seconds = fit(pixels, start, 300, callback=watch.iteration)
    sent = watch.sent_per_iteration()

    gr.save(f"{result}.labels.npy", model.labels_)
    if gr.rank() == 0:
        np.save(f"{result}.centers.npy", np.asarray(model.cluster_centers_))
        measured = {
            "ranks": gr.size(),
            "threads": _native.world_info()["threads"],
            "iterations": model.n_iter_,
            "seconds": seconds,
            "seconds_per_iteration": (seconds - seconds_of_one) / max(model.n_iter_ - 1, 1),
            "inertia": model.inertia_,
            "sent": traffic_text(sent) if sent else "nothing",
        }
        with open(f"{result}.json", "w") as file:
            json.dump(measured, file)


if __name__ == "__main__":
    main()

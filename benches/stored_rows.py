"""K-Means on rows that stay in a file of several times the memory limit, against the same rows in memory.

usage: benches/stored_rows.py [--rows 16777216] [--columns 64] [--clusters 16] [--limit 1G] [--folder DIR]

Makes a `.npy` file of float32 (4 GiB unless told otherwise), fits it in a process with `GIRIH_MEMORY_LIMIT` and
`gr.open_rows`, then in a process that loads it, and prints time, the greatest resident memory, and whether all bits
agree. The file is left out of the figures and removed at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ITERATIONS = 3


def make(path: Path, rows: int, columns: int) -> None:
    """Writes normal numbers about 16 places, a part at a time."""
    rng = np.random.default_rng(7)
    places = rng.uniform(-8, 8, (16, columns)).astype(np.float32)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, columns))
    for start in range(0, rows, 1 << 18):
        part = out[start : start + (1 << 18)]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32) + places[rng.integers(0, 16, len(part))]
    out.flush()


def fit(path: str, clusters: int, stored: bool) -> None:
    """One fit in this process; what it found and took, as a line of JSON."""
    import girih as gr

    begin = time.perf_counter()
    x = gr.open_rows(path) if stored else gr.load(path)
    start = x[:clusters] if stored else np.asarray(x[:clusters])
    km = gr.cluster.KMeans(clusters, init=start, max_iter=ITERATIONS, tol=0).fit(x)
    seconds = time.perf_counter() - begin
    bits = hashlib.blake2b(km.cluster_centers_.tobytes() + km.labels_.local.tobytes()).hexdigest()
    # Of this program alone; what getrusage tells may be that of the process which started it.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) << 10
    print(json.dumps({"seconds": seconds, "peak": peak, "bits": bits, "inertia": km.inertia_}))


def run(path: Path, clusters: int, limit: str | None) -> dict[str, object]:
    """A fit in a process of its own."""
    environment = {**os.environ, **({"GIRIH_MEMORY_LIMIT": limit} if limit else {})}
    command = [sys.executable, __file__, "--fit", str(path), "--clusters", str(clusters)]
    done = subprocess.run(
        command + (["--stored"] if limit else []), env=environment, check=True, capture_output=True, text=True
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1 << 24)
    parser.add_argument("--columns", type=int, default=64)
    parser.add_argument("--clusters", type=int, default=16)
    parser.add_argument("--limit", default="1G")
    parser.add_argument("--folder", default=None)
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    parser.add_argument("--stored", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit:
        fit(arguments.fit, arguments.clusters, arguments.stored)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "points.npy"
        make(path, arguments.rows, arguments.columns)
        size = path.stat().st_size
        stored = run(path, arguments.clusters, arguments.limit)
        loaded = run(path, arguments.clusters, None)
    shape = f"({arguments.rows}, {arguments.columns}) float32, {size / 2**30:.2f} GiB, k = {arguments.clusters}"
    print(f"{shape}, {ITERATIONS} iterations")
    print(f"{'':24}{'seconds':>10}{'resident GiB':>14}")
    for name, found in [(f"in the file, limit {arguments.limit}", stored), ("in memory", loaded)]:
        print(f"{name:24}{found['seconds']:>10.1f}{found['peak'] / 2**30:>14.2f}")
    same = (stored["bits"], stored["inertia"]) == (loaded["bits"], loaded["inertia"])
    print("same bits: " + ("yes" if same else "NO"))
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()

"""joblib's own tests of `Parallel` with "girih" among its backends: a pytest plugin, and the file that it runs on.

    python -m pytest -p rivals_joblib -k girih PATH/test_parallel_copy.py

joblib's test module takes the names of all backends that are registered when it is imported, and has a list of those
that run in processes; `write_module` puts a copy with our name in that list into a folder.
Never here: tests of our own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from rivals_left_out import JOBLIB_LEFT_OUT

THEIR_LIST = 'PROCESS_BACKENDS = ["multiprocessing", "loky"]'
OUR_LIST = 'PROCESS_BACKENDS = ["multiprocessing", "loky", "girih"]'


# Interpreters that tests start know the name too, as they know joblib's own.
AT_START = "from girih.futures import register_joblib\nregister_joblib()\n"


def pytest_configure(config):
    from girih.futures import register_joblib

    register_joblib()
    folder = Path(tempfile.mkdtemp(prefix="rivals-joblib-"))
    (folder / "sitecustomize.py").write_text(AT_START)
    config.add_cleanup(lambda: shutil.rmtree(folder))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


def pytest_make_parametrize_id(config, val, argname):
    from girih.futures.joblib_backend import GirihBackend

    return "girih" if isinstance(val, GirihBackend) else None


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if any(name in item.nodeid for name in JOBLIB_LEFT_OUT)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def write_module(folder):
    """A copy of joblib's test module that counts girih among the backends of processes; its path."""
    import joblib

    source = Path(joblib.__file__).parent / "test" / "test_parallel.py"
    text = source.read_text()
    assert THEIR_LIST in text, "joblib's list of backends has another form"
    text = text.replace(THEIR_LIST, OUR_LIST).replace("from ._openmp", "from joblib.test._openmp")
    copy = Path(folder) / "test_parallel_copy.py"
    copy.write_text(text)
    return copy

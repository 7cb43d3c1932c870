"""joblib and scikit-learn on the executor, and the façade of `multiprocessing.Pool`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import joblib
import numpy as np
import pytest

from girih.futures import Pool, WorkerLostError, register_joblib

register_joblib()
Parallel, delayed = joblib.Parallel, joblib.delayed


@pytest.fixture(autouse=True)
def girih_backend():
    with joblib.parallel_config(backend="girih", n_jobs=2):
        yield


def nap(n, seconds=0.01):
    time.sleep(seconds)
    return n


# --- Parallel --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", ["auto", 1, 7])
@pytest.mark.parametrize("pre_dispatch", ["2 * n_jobs", "all", 1])
@pytest.mark.parametrize("count", [0, 1, 100])
def test_a_list_comes_back_in_order(batch_size, pre_dispatch, count):
    calls = (delayed(pow)(n, 2) for n in range(count))
    assert Parallel(batch_size=batch_size, pre_dispatch=pre_dispatch)(calls) == [n * n for n in range(count)]


@pytest.mark.parametrize("return_as", ["generator", "generator_unordered"])
def test_generators(return_as):
    values = list(Parallel(return_as=return_as)(delayed(nap)(n) for n in range(20)))
    assert (values if return_as == "generator" else sorted(values)) == list(range(20))


def test_an_error_ends_the_call_and_not_the_backend():
    with Parallel() as parallel:
        with pytest.raises(ZeroDivisionError):
            parallel(delayed(divmod)(1, n) for n in [1, 1, 0, 1])
        assert parallel(delayed(abs)(-n) for n in range(5)) == list(range(5))


def test_a_timeout():
    # joblib's own kind of TimeoutError.
    with pytest.raises(multiprocessing.TimeoutError):
        Parallel(timeout=0.3)(delayed(time.sleep)(n) for n in [0, 60])
    assert Parallel()(delayed(abs)(-n) for n in range(3)) == [0, 1, 2]


def test_a_worker_that_is_killed_fails_the_call_alone():
    with pytest.raises(WorkerLostError):
        Parallel()(delayed(die)() if n == 5 else delayed(nap)(n) for n in range(10))
    assert Parallel()(delayed(abs)(-n) for n in range(3)) == [0, 1, 2]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_calls_within_calls():
    def outer(n):
        return Parallel(n_jobs=2)(delayed(pow)(n, k) for k in range(3))

    assert Parallel()(delayed(outer)(n) for n in range(4)) == [[1, n, n * n] for n in range(4)]


def test_a_large_array_is_shared_and_read_only():
    array = np.arange(1 << 18, dtype=float)

    def look(given, n):
        return type(given), given.flags.writeable, given[n]

    assert Parallel()(delayed(look)(array, n) for n in range(5)) == [(np.memmap, False, float(n)) for n in range(5)]


@pytest.mark.parametrize("mode", ["c", None])
def test_a_large_array_may_be_written_where_that_was_asked_for(mode):
    array = np.zeros(1 << 18)

    def fill(given, n):
        given[:] = n
        return given.sum()

    values = Parallel(mmap_mode=mode)(delayed(fill)(array, n) for n in range(3))
    assert values == [n * float(1 << 18) for n in range(3)]
    assert array.sum() == 0


def test_what_tasks_write_to_a_memmap_is_seen(tmp_path):
    shared = np.memmap(tmp_path / "shared", float, "w+", shape=(4, 1 << 16))

    def fill(row, n):
        row[:] = n

    Parallel()(delayed(fill)(shared[n], n) for n in range(4))
    assert shared.mean(axis=1).tolist() == [0, 1, 2, 3]


def test_threads_within_workers():
    def read():
        return os.environ["OMP_NUM_THREADS"]

    with joblib.parallel_config(backend="girih", n_jobs=2, inner_max_num_threads=3):
        assert Parallel()(delayed(read)() for _ in range(2)) == ["3", "3"]


@pytest.mark.parametrize("name", ["cross_val_score", "GridSearchCV", "RandomForestRegressor"])
def test_scikit_learn_gives_what_it_gives_alone(name):
    from sklearn.datasets import make_regression
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, cross_val_score

    x, y = make_regression(300, 8, noise=1.0, random_state=0)
    programs = {
        "cross_val_score": lambda jobs: cross_val_score(Ridge(), x, y, cv=5, n_jobs=jobs),
        "GridSearchCV": lambda jobs: (
            GridSearchCV(Ridge(), {"alpha": [0.1, 1.0, 10.0]}, n_jobs=jobs).fit(x, y).cv_results_["mean_test_score"]
        ),
        # In prediction threads add up in any order.
        "RandomForestRegressor": lambda jobs: (
            RandomForestRegressor(20, random_state=0, n_jobs=jobs).fit(x, y).set_params(n_jobs=1).predict(x)
        ),
    }
    assert np.array_equal(programs[name](2), programs[name](1))


# --- Pool ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pool():
    with Pool(2) as shared:
        yield shared


def test_the_methods_of_a_pool(pool):
    squares = [n * n for n in range(50)]
    assert pool.map(lambda n: n * n, range(50)) == squares
    assert pool.starmap(pow, [(n, 2) for n in range(50)], chunksize=3) == squares
    assert list(pool.imap(lambda n: n * n, iter(range(50)))) == squares
    assert sorted(pool.imap_unordered(lambda n: n * n, range(50), chunksize=4)) == squares
    assert pool.map_async(lambda n: n * n, range(50)).get(timeout=30) == squares
    assert pool.starmap_async(pow, []).get(timeout=30) == []
    assert pool.apply(dict, (), {"a": 1}) == {"a": 1}


def test_callbacks_of_a_pool(pool):
    heard, errors = [], []
    pool.apply_async(pow, (2, 3), callback=heard.append).wait(30)
    failing = pool.map_async(lambda n: 1 // n, [1, 0], callback=heard.append, error_callback=errors.append)
    with pytest.raises(ZeroDivisionError):
        failing.get(timeout=30)
    assert heard == [8] and isinstance(errors[0], ZeroDivisionError)
    assert failing.ready() and not failing.successful()


def test_a_pool_does_not_wait_for_a_killed_worker(pool):
    with pytest.raises(WorkerLostError):
        pool.apply_async(die).get(timeout=30)
    with pytest.raises(multiprocessing.TimeoutError):
        pool.apply_async(time.sleep, (1,)).get(timeout=0.05)


def test_a_pool_that_was_closed():
    pool = Pool(1)
    result = pool.apply_async(nap, (4,))
    with pytest.raises(ValueError, match="still running"):
        pool.join()
    pool.close()
    pool.join()
    assert result.get() == 4
    with pytest.raises(ValueError, match="not running"):
        pool.map(abs, [1])


def test_the_first_error_ends_a_call_that_waits_for_an_earlier_task():
    tasks = [delayed(time.sleep)(600), delayed(int)("x"), *[delayed(time.sleep)(600)] * 6]
    with pytest.raises(ValueError, match="invalid literal"):
        Parallel(n_jobs=2, backend="girih")(tasks)
    assert Parallel(n_jobs=2, backend="girih")(delayed(abs)(-n) for n in range(4)) == [0, 1, 2, 3]

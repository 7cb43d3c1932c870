"""Runs the interpreter's own tests of `concurrent.futures` against `RankExecutor` and its futures.

    python rivals_executors.py

From CPython 3.12 on these are made for any executor: mixins for `submit` and `map`, `wait`, `as_completed`, `shutdown`
and initializers. The tests of futures run with ours in the place of the standard ones. Prints how many of each passed;
the status is 0 if all did, 3 if this interpreter comes without its tests.
Never here: tests of our own.
"""

from __future__ import annotations

import sys
import textwrap
import unittest

from girih.futures import RankExecutor
from girih.futures.future import Future as TaskFuture

try:
    from test.test_concurrent_futures import executor, test_as_completed, test_init, test_shutdown, test_wait, util
    from test.test_concurrent_futures import test_future
except ImportError:
    sys.exit(3)

# Programs that these tests start look our executor up in concurrent.futures, by its name.
BY_NAME = "import concurrent.futures, girih.futures; concurrent.futures.RankExecutor = girih.futures.RankExecutor\n"


class RankMixin(util.ExecutorMixin):
    """The executor of all tests."""

    executor_type = RankExecutor


run_as_it_is = test_shutdown.assert_python_ok
test_shutdown.assert_python_ok = lambda option, program: run_as_it_is(option, BY_NAME + textwrap.dedent(program))

MIXINS = (
    executor.ExecutorTest,
    test_wait.WaitTests,
    test_as_completed.AsCompletedTests,
    test_shutdown.ExecutorShutdownTest,
    test_init.InitializerMixin,
)


def executors():
    """Every mixin with our executor."""
    suite = unittest.TestSuite()
    for mixin in MIXINS:
        made = type("Rank" + mixin.__name__, (mixin, RankMixin, util.BaseTestCase), {"__module__": mixin.__module__})
        sys.modules[mixin.__module__].__dict__[made.__name__] = made
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(made))
    return suite


def futures():
    """The tests of futures with our class in the place of the standard one."""
    test_future.Future = util.Future = TaskFuture
    # Each test changes the state of futures that the module made, so these are made anew too.
    for name, value in list(vars(test_future).items()):
        if name.endswith("_FUTURE"):
            old = vars(value)
            vars(test_future)[name] = util.create_future(old["_state"], old["_exception"], old["_result"])
    return unittest.defaultTestLoader.loadTestsFromTestCase(test_future.FutureTests)


def run(name, suite):
    """Runs some tests; true if all passed."""
    outcome = unittest.TextTestRunner(verbosity=2).run(suite)
    wrong = len(outcome.failures) + len(outcome.errors)
    print(f"{name}: {outcome.testsRun - wrong - len(outcome.skipped)} passed of {outcome.testsRun}")
    return wrong == 0


def main():
    passed = [run("executors", executors()), run("futures", futures())]
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()

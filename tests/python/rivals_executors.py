"""Runs the interpreter's own tests of `concurrent.futures` executors against `RankExecutor`.

    python rivals_executors.py

From CPython 3.12 on these are made for any executor: mixins for `submit` and `map`, `wait`, `as_completed`, `shutdown`
and initializers. Prints how many passed; its status is 0 if all did. 3 if this interpreter comes without its tests.
Never here: tests of our own.
"""

from __future__ import annotations

import sys
import textwrap
import unittest

from girih.futures import RankExecutor

try:
    from test.test_concurrent_futures import executor, test_as_completed, test_init, test_shutdown, test_wait, util
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


def main():
    suite = unittest.TestSuite()
    for mixin in MIXINS:
        made = type("Rank" + mixin.__name__, (mixin, RankMixin, util.BaseTestCase), {"__module__": mixin.__module__})
        sys.modules[mixin.__module__].__dict__[made.__name__] = made
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(made))
    outcome = unittest.TextTestRunner(verbosity=2).run(suite)
    wrong = len(outcome.failures) + len(outcome.errors)
    print(f"{outcome.testsRun - wrong - len(outcome.skipped)} passed of {outcome.testsRun}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()

"""The Array API suite (data-apis/array-api-tests, 2025.12) on ranks: `python tests/python/array_api_suite.py`.

Fetches the suite and what it needs into a folder of its own, which is kept for the next time, and runs it at 1, 2 and 3
ranks with the skips of `array_api_skips.txt`. All ranks run the same tests: examples are derandomised and hashes fixed,
so they draw alike. Ends with status 1 unless every rank passes everything that is not skipped.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = "https://github.com/data-apis/array-api-tests"
REVISION = "55fcc601"
NEEDS = ["pytest>=8", "pytest-json-report>=1.5", "hypothesis>=6.151", "ndindex>=1.8"]
SKIPS = Path(__file__).with_name("array_api_skips.txt")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "girih-array-api"
# A rank that fails where others pass would leave them waiting; the launcher ends them all then.
MINUTES_MAX = 20


def run(*command, **options):
    subprocess.run([str(part) for part in command], check=True, **options)


def fetch(folder):
    """The suite with its submodule, the specification, and its packages."""
    suite, packages = folder / "suite", folder / "packages"
    if not suite.exists():
        run("git", "clone", "--quiet", REPOSITORY, suite)
        run("git", "-C", suite, "checkout", "--quiet", REVISION)
        run("git", "-C", suite, "submodule", "--quiet", "update", "--init")
    if not packages.exists():
        run(sys.executable, "-m", "pip", "install", "--quiet", "--target", packages, *NEEDS)
    return suite, packages


def suite_on(ranks, suite, packages, examples):
    """What pytest says last on each rank, with the names of the tests that failed."""
    reports = [suite / f"rank{rank}-of-{ranks}.txt" for rank in range(ranks)]
    for report in reports:
        report.unlink(missing_ok=True)
    settings = {
        "ARRAY_API_TESTS_MODULE": "girih", "ARRAY_API_TESTS_VERSION": "2025.12", "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(packages),
    }  # fmt: skip
    line = [sys.executable, "-m", "girih", "run", "-n", ranks, "--timeout", 60 * MINUTES_MAX]
    line += [__file__, "--on-rank", suite, "--examples", examples]
    run(*line, env={**os.environ, **settings}, cwd=suite, stdout=subprocess.DEVNULL)
    for rank, report in enumerate(reports):
        text = report.read_text()
        yield rank, text.strip().splitlines()[-1], re.findall(r"^(?:FAILED|ERROR) (\S.*?)(?: - |$)", text, re.MULTILINE)


def on_rank(suite, examples):
    """Runs the tests on one of the ranks; its report goes to a file, for all ranks share the terminal."""
    import contextlib

    import pytest

    from girih.launched import rank_and_size

    rank, ranks = rank_and_size()
    options = ["-q", "--derandomize", "--disable-deadline", "-p", "no:cacheprovider", "--skips-file", str(SKIPS)]
    with (suite / f"rank{rank}-of-{ranks}.txt").open("w") as report, contextlib.redirect_stdout(report):
        # The outcome is in the report: a rank that ended with another status would end the others early.
        pytest.main([*options, "--max-examples", str(examples), "array_api_tests"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ranks", default="1,2,3", help="numbers of ranks (default 1,2,3)")
    parser.add_argument("--examples", type=int, default=5, help="drawn for each test (default 5)")
    parser.add_argument("--folder", type=Path, default=CACHE, help=f"of the suite (default {CACHE})")
    parser.add_argument("--on-rank", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.on_rank:
        on_rank(chosen.on_rank, chosen.examples)
        return
    suite, packages = fetch(chosen.folder)
    wrong = False
    for ranks in (int(text) for text in chosen.ranks.split(",")):
        for rank, summary, failed in suite_on(ranks, suite, packages, chosen.examples):
            print(f"{ranks} ranks, rank {rank}: {summary}")
            for name in failed:
                print(f"    {name}")
            wrong |= bool(failed) or "passed" not in summary
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

"""Random programs and awkward corners give what NumPy gives, and the same bits on any ranks, threads and tiles."""

from __future__ import annotations

from pathlib import Path

import pytest

PROGRAMS = 250
HERE = str(Path(__file__).parent)
RANDOM = f"""
import sys
sys.path.insert(0, {HERE!r})
import random_programs
give(digests=random_programs.main(0, {PROGRAMS}, sys.argv[1] == "check"))
"""
CORNERS = f"""
import sys
sys.path.insert(0, {HERE!r})
import edge_cases
give(different=edge_cases.main())
"""


def test_random_programs_give_what_numpy_gives_and_the_same_bits_everywhere(on_ranks):
    reference = on_ranks(RANDOM, 1, arguments=["check"]).succeeded().given(1)[0]["digests"]
    assert len(reference) == PROGRAMS
    settings = [(1, 2, {"GIRIH_TILE_BYTES": "4096"}), (2, 1, {}), (3, 2, {"GIRIH_TILE_BYTES": "16384"}), (4, 1, {})]
    for ranks, threads, extra in settings:
        run = on_ranks(RANDOM, ranks, threads=threads, extra=extra, arguments=["run"], timeout=120).succeeded()
        for given in run.given(ranks):
            different = [seed for seed in range(PROGRAMS) if given["digests"][seed] != reference[seed]]
            assert not different, f"programs {different} on {ranks} ranks"


@pytest.mark.parametrize("ranks", [1, 3])
def test_corners_are_numpys(on_ranks, ranks):
    for given in on_ranks(CORNERS, ranks).succeeded().given(ranks):
        assert given["different"].tolist() == []

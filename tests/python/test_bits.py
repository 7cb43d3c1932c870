"""The whole surface gives the same bits at any number of ranks and threads and any size of tiles."""

from __future__ import annotations

from pathlib import Path

import pytest
import surface_calls

import girih as gr

PROGRAM = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import surface_calls

import girih as gr
found = surface_calls.main()
give(names=np.array(list(found)), digests=np.array(list(found.values())))
"""
TILES = {"small": {"GIRIH_TILE_BYTES": "2048"}, "middle": {"GIRIH_TILE_BYTES": "20000"}, "usual": {}}


@pytest.fixture(scope="module")
def reference(bits_on_one_rank):
    """What one thread of one rank finds."""
    given = bits_on_one_rank(PROGRAM)
    return dict(zip(given["names"].tolist(), given["digests"].tolist(), strict=True))


def test_no_function_is_left_out():
    assert surface_calls.missing() == []


@pytest.mark.parametrize("tiles", TILES)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_the_bits_do_not_depend_on_ranks_threads_or_tiles(on_ranks, reference, ranks, threads, tiles):
    run = on_ranks(PROGRAM, ranks, threads=threads, extra=TILES[tiles], timeout=120).succeeded()
    for given in run.given(ranks):
        found = dict(zip(given["names"].tolist(), given["digests"].tolist(), strict=True))
        assert found.keys() == reference.keys()
        assert [name for name in reference if found[name] != reference[name]] == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tail", [1, 2, 3, 4, 8, 16, 31, 33])
def test_a_sum_of_products_has_the_bits_of_the_products_summed(dtype, tail):
    # The last leaf is of `tail` rows: short runs combine in another order than longer ones.
    length = 64 * 2187 + tail
    for seed in range(8):
        p, q = (gr.random.default_rng(2 * seed + one).normal(size=length).astype(dtype) for one in (0, 1))
        gr.wait(p, q)
        product = p * q
        gr.wait(product)
        assert (p * q).sum().item() == product.sum().item()

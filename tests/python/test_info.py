"""`girih info` on one and on several ranks, and the picture it draws."""

from __future__ import annotations

import pytest
from conftest import both_families
from girih.cli.seats import Occupant, hosts_of, processors


def test_one_rank(command):
    output = command("info").succeeded().output
    for text in ("Machine", "NUMA", "Binding", "host", "w0", "launchers", "none"):
        assert text in output


@both_families
@pytest.mark.parametrize("ranks", [2, 3])
def test_rank_zero_shows_all_ranks(command, family, ranks):
    output = command("info", "-n", str(ranks), "--threads", "1", "--launcher", f"mpirun.{family}").succeeded().output
    assert output.count("Binding") == 1
    library = {"openmpi": "Open MPI", "mpich": "MPICH"}[family]
    assert library in output
    for rank in range(ranks):
        assert f"r{rank} w0" in output


def test_the_picture_is_a_png_that_is_not_blank(command, tmp_path):
    import numpy as np
    from PIL import Image

    assert "binding.png" in command("info", "--picture", "binding.png").succeeded().output
    with Image.open(tmp_path / "binding.png") as image:
        assert np.asarray(image.convert("L")).std() > 5


def test_a_picture_that_cannot_be_written_is_one_line(command):
    run = command("info", "--picture", "no/such/folder/x.png")
    assert run.status == 2
    assert "no such file or directory" in run.errors and "Traceback" not in run.errors


def test_lists_of_processors():
    assert processors("0-2,8,10-11") == [0, 1, 2, 8, 10, 11]
    assert processors("") == []


def rank_of_four_cores(rank):
    """Rank 0 or 1 on a host of two domains of two cores with two threads each: one worker and the comm thread."""
    domains = [
        {"os_index": 0, "package": 0, "bytes": 1 << 30, "cores": [[0, 4], [1, 5]]},
        {"os_index": 1, "package": 1, "bytes": 1 << 30, "cores": [[2, 6], [3, 7]]},
    ]
    caches = {"l1_bytes": 0, "l2_bytes": 0, "l3_bytes": 0}
    first = 2 * rank
    return {
        "rank": rank, "size": 2, "host": "node", "local_rank": rank, "local_size": 2, "threads": 1,
        "comm_seat": "own core", "comm_cpus": str(first + 1), "worker_cpus": [f"{first},{first + 4}"],
        "worker_domains": [rank], "mpi": "an MPI", "warnings": [],
        "machine": {"domains": domains, "caches": caches},
    }  # fmt: skip


def test_threads_sit_on_their_cores():
    (host,) = hosts_of([rank_of_four_cores(0), rank_of_four_cores(1)])
    assert host.ranks == [0, 1]
    seats = {seat.unit: seat.occupants for domain in host.seats for core in domain for seat in core}
    assert seats[0] == seats[4] == [Occupant(0, 0)]
    assert seats[1] == [Occupant(0, None)] and seats[5] == []
    assert seats[2] == seats[6] == [Occupant(1, 0)]
    assert seats[3] == [Occupant(1, None)] and seats[7] == []


def test_many_hosts_and_cores_fit_the_picture(tmp_path):
    from girih.cli.pictures import draw_hosts

    ranks = [rank_of_four_cores(0), {**rank_of_four_cores(1), "host": "another"}]
    ranks[0]["machine"]["domains"][0]["cores"] = [[core] for core in range(24)]
    draw_hosts(hosts_of(ranks), str(tmp_path / "x.png"))
    assert (tmp_path / "x.png").stat().st_size > 1000

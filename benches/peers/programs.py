"""Builds and starts the programs that measure communication: `communication.rs` on girih, its peer on MPI alone.

A link of 1 Gbit/s is two network namespaces of this machine, joined by a pair of virtual interfaces whose sending sides
have a token-bucket filter. Each end has a host name and a core of its own, so that Open MPI takes them for two nodes.
"""

import contextlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / "benches" / "peers"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BUILT = TARGET / "peers"
PLUGINS = ROOT / "bindings" / "python" / "girih" / "_mpi"
GIRIH = TARGET / "release" / "communication"
FAMILIES = ("openmpi", "mpich")
NETWORK = "10.77.0"
ENDS = ("girih0", "girih1")


def build():
    """Builds the driver on girih and the peer for each MPI; the families that can be measured."""
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "girih-benches"], cwd=ROOT, check=True)
    BUILT.mkdir(parents=True, exist_ok=True)
    for family in FAMILIES:
        compiler = shutil.which(f"mpicc.{family}")
        if compiler:
            command = [compiler, "-O3", "communication_mpi.c", "kernel.c", "-o", peer(family)]
            subprocess.run(command, cwd=PEERS, check=True, capture_output=True)
    return [family for family in FAMILIES if peer(family).exists() and (PLUGINS / f"{family}.so").exists()]


def peer(family):
    return BUILT / f"communication_{family}"


def on_girih(*words):
    """The command for `communication.rs`, with one worker."""
    return [GIRIH, "--threads=1", f"--plugins={PLUGINS}", *words]


def shared_memory(family, ranks):
    """Starts ranks on the cores of this machine: bound one to a core as far as the cores go."""
    if family == "mpich":
        return ["mpirun.mpich", *(["-bind-to", "core"] if ranks <= os.cpu_count() else []), "-n", ranks]
    crowded = ["--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]
    return ["mpirun.openmpi", *(["--bind-to", "core"] if ranks <= os.cpu_count() else crowded), "-n", ranks]


def run(launcher, program, seconds=120):
    """The lines that a program prints."""
    words = [str(word) for word in [*launcher, *program]]
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=seconds)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stderr}")
    return done.stdout.splitlines()


@contextlib.contextmanager
def slow_link(rate="1gbit"):
    """A launcher whose two ranks are the two ends of a link; None where the system refuses one."""

    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        with tempfile.TemporaryDirectory() as folder:
            try:
                for end in ENDS:
                    ip("netns", "add", end)
                ip("link", "add", ENDS[0], "netns", ENDS[0], "type", "veth", "peer", "name", ENDS[1], "netns", ENDS[1])
                for number, end in enumerate(ENDS):
                    ip("-n", end, "addr", "add", f"{NETWORK}.{number + 1}/24", "dev", end)
                    ip("-n", end, "link", "set", end, "up")
                    ip("-n", end, "link", "set", "lo", "up")
                    queue = ["tbf", "rate", rate, "burst", "256kb", "latency", "200ms"]
                    ip("netns", "exec", end, "tc", "qdisc", "add", "dev", end, "root", *queue)
            except (OSError, subprocess.CalledProcessError):
                yield None
                return
            agent = Path(folder) / "agent"
            # mpirun believes that this is ssh: the first word is the host, the rest the command.
            agent.write_text(
                "#!/bin/sh\nshift\n"
                f"exec ip netns exec {ENDS[1]} taskset -c 1 unshare --uts "
                f"sh -c 'hostname {ENDS[1]}; exec sh -c \"$0\"' \"$*\"\n"
            )
            agent.chmod(0o755)
            inside = ["ip", "netns", "exec", ENDS[0], "taskset", "-c", "0", "mpirun.openmpi", "--bind-to", "none"]
            wires = ["--mca", "btl", "tcp,self"]
            for layer in ("btl", "oob"):
                wires += ["--mca", f"{layer}_tcp_if_include", f"{NETWORK}.0/24"]
            hosts = ["--host", f"{NETWORK}.1:1,{NETWORK}.2:1", "-n", "2"]
            yield [*inside, "--mca", "plm_rsh_agent", agent, *wires, *hosts]
    finally:
        for end in ENDS:
            subprocess.run(["ip", "netns", "del", end], capture_output=True)


def machine():
    """The last line of a table: a number without its machine is no number."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, load {load}"

"""The executor in a notebook: a kernel of Jupyter, driven as a notebook drives it."""

from __future__ import annotations

import textwrap
import time

import jupyter_client
import pytest


@pytest.fixture
def cell(tmp_path):
    """`cell(code)`: what a cell prints, or the name of the error that ends it; `interrupt_at` a word that it prints."""
    manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3", cwd=str(tmp_path))

    def run(code, interrupt_at=None):
        request = client.execute(textwrap.dedent(code))
        printed, error = "", None
        end = time.monotonic() + 60
        while time.monotonic() < end:
            message = client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                printed += content["text"]
                if interrupt_at is not None and interrupt_at in printed:
                    interrupt_at = None
                    manager.interrupt_kernel()
            elif kind == "error":
                error = content["ename"]
            elif kind == "status" and content["execution_state"] == "idle":
                return error or printed
        raise AssertionError(f"the cell did not end; it printed {printed!r}")

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_functions_of_cells(cell):
    assert cell("from girih.futures import RankExecutor\nexecutor = RankExecutor(max_workers=2)") == ""
    assert cell("scale = 3\ndef scaled(n):\n    return scale * n") == ""
    assert cell("print(list(executor.map(scaled, range(4))), executor.submit(lambda: scale).result())") == (
        "[0, 3, 6, 9] 3\n"
    )
    assert cell("scale = 5") == ""
    assert cell("print(list(executor.map(scaled, range(4))))") == "[0, 5, 10, 15]\n"
    assert cell("executor.shutdown()") == ""


@pytest.mark.parametrize(
    "waiting",
    [
        "list(executor.map(slow, range(40), chunksize=1))",
        "[future.result() for future in [executor.submit(slow, n) for n in range(40)]]",
        "Parallel(n_jobs=2, backend='girih')(delayed(slow)(n) for n in range(40))",
    ],
)
def test_ctrl_c_ends_the_cell_and_what_it_runs(cell, waiting):
    setup = """
    import time
    from joblib import Parallel, delayed
    from girih.futures import RankExecutor, register_joblib
    register_joblib()
    executor = RankExecutor(max_workers=2)
    def slow(n):
        open(f"began-{n}", "w").close()
        time.sleep(30)
    executor.submit(abs, 1).result()
    """
    assert cell(setup) == ""
    program = f"""
    import threading
    def tell():
        import os
        while not any(name.startswith("began") for name in os.listdir()):
            time.sleep(0.02)
        print("running", flush=True)
    threading.Thread(target=tell).start()
    begin = time.monotonic()
    {waiting}
    """
    assert cell(program, interrupt_at="running") == "KeyboardInterrupt"
    # The tasks sleep for half a minute each: whoever answers at once does not wait for them.
    assert cell("print(executor.submit(abs, -4).result(timeout=20), time.monotonic() - begin < 25)") == "4 True\n"
    assert cell("executor.terminate_workers()") == ""

"""What a worker is given before its first task, and how it is put in place there.

Never here: sockets, files, cores.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from typing import Any, NamedTuple

from girih.futures import wire


class Setup(NamedTuple):
    """The user's words about workers."""

    initializer: Callable[..., object] | None
    arguments: tuple[Any, ...]
    tasks_max: int | None  # a worker leaves after so many
    path: list[str]  # more places to import from
    folder: str | os.PathLike[str] | None
    names: dict[str, Any]  # for `__main__`
    done: bytes | None = None  # all of it, pickled by another rank

    @staticmethod
    def given(pickled: bytes | None, tasks_max: int | None) -> Setup:
        """What another rank has pickled."""
        return Setup(None, (), tasks_max, [], None, {}, pickled)

    def pickled(self) -> bytes | None:
        """As bytes for a worker; `None` if there is nothing to say. Raises what pickling raises."""
        if self.done is not None:
            return self.done
        if self == Setup(None, (), self.tasks_max, [], None, {}):
            return None
        folder = None if self.folder is None else os.fspath(self.folder)
        return wire.dumps((self.initializer, self.arguments, self.path, folder, self.names), [])


def share_key(key: bytes) -> None:
    """Lets managers of `multiprocessing` that were started on the rank know this process as one of theirs.

    The module is not imported for it: most workers never need it.
    """

    class Finder:
        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
            if name != "multiprocessing.process":
                return None
            sys.meta_path.remove(Finder)
            spec = PathFinder.find_spec(name, path)
            if spec is not None and spec.loader is not None:
                run = spec.loader.exec_module

                def run_and_share(module: Any) -> None:
                    run(module)
                    module.current_process().authkey = key

                spec.loader.exec_module = run_and_share  # type: ignore[method-assign]
            return spec

    known = sys.modules.get("multiprocessing.process")
    if known is None:
        sys.meta_path.insert(0, Finder)
    else:
        known.current_process().authkey = key


def apply(pickled: bytes) -> None:
    """Puts a worker in the place that the user described; raises what the initializer raises."""
    import pickle

    initializer, arguments, path, folder, names = pickle.loads(pickled)
    sys.path[:0] = path
    if folder is not None:
        os.chdir(folder)
    vars(sys.modules["__main__"]).update(names)
    if initializer is not None:
        initializer(*arguments)

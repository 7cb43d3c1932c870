"""NumPy's functions on girih's arrays: `numpy.median(x)` is `girih.median(x)`; the Array API's namespace; DLPack.

A function that girih does not have raises and names the nearest; nothing is gathered without being asked for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import numpy as np

from girih import _native, names
from girih._native import Array, asarray

__all__ = ["from_dlpack"]

# Where NumPy's name is another thing here.
_INSTEAD = {("numpy", "trace"): ("girih.products", "trace"), ("numpy", "size"): ("girih.protocols", "elements")}
_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")


def counterpart(function: Any) -> Any:
    """The function of the package that stands for one of NumPy's; TypeError if there is none."""
    module, name = getattr(function, "__module__", None) or "numpy", function.__name__
    module, name = _INSTEAD.get((module, name), (module.replace("numpy", "girih", 1), name))
    found = getattr(import_module(module), name, None) if module in sys.modules else None
    if found is None:
        near = names.missing("girih", name)
        raise TypeError(f"numpy.{name} of a girih array: {near}")
    return found


def elements(a: Any, axis: int | tuple[int, ...] | None = None) -> int:
    """The number of elements, or of places along axes; `gr.size` is the number of ranks."""
    return np.size(np.broadcast_to(np.empty(()), a.shape), axis)


def array_function(self: Array, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """Runs girih's function in place of NumPy's."""
    if not all(issubclass(kind, Array | np.ndarray) for kind in types):
        return NotImplemented
    return counterpart(func)(*args, **kwargs)


def array_ufunc(self: Array, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """Runs girih's universal function in place of NumPy's."""
    known = (Array, np.ndarray, np.generic, bool, int, float, complex, list, tuple)
    if not all(isinstance(one, known) for one in inputs):
        return NotImplemented
    targets = kwargs.get("out", ())
    if any(target is not None and not isinstance(target, Array) for target in targets):
        raise TypeError(
            f"numpy.{ufunc.__name__} cannot write a girih array's values to a NumPy array: use np.asarray(x), which "
            "gathers it on every rank"
        )
    if "out" in kwargs and len(targets) == 1:
        kwargs["out"] = targets[0]
    own = counterpart(ufunc)
    return own(*inputs, **kwargs) if method == "__call__" else getattr(own, method)(*inputs, **kwargs)


def array_namespace(self: Array, *, api_version: str | None = None) -> Any:
    """The package, which follows the Array API."""
    if api_version is not None and api_version not in _VERSIONS:
        raise ValueError(f'Version "{api_version}" of the Array API Standard is not supported: {", ".join(_VERSIONS)}')
    return sys.modules["girih"]


def dlpack(self: Array, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None) -> Any:
    """A capsule with a copy of an array that this rank has as a whole; BufferError for rows on several ranks."""
    if copy is False:
        raise BufferError("a girih array is exported as a copy: use x.local.__dlpack__() for this rank's rows")
    return _whole(self).__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device)


def dlpack_device(self: Array) -> tuple[int, int]:
    """The processor's memory."""
    return (1, 0)


def _whole(array: Array) -> np.ndarray[Any, Any]:
    if _native.size() > 1 and array.local.shape != array.shape:
        raise BufferError("rows of this array lie on other ranks: use x.local for this rank's, or np.asarray(x)")
    return np.array(array.local)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """The elements of an array of another library, the same on every rank.

    >>> import girih as gr
    >>> import numpy as np
    >>> gr.from_dlpack(np.arange(3)).tolist()
    [0, 1, 2]
    """
    if device not in (None, "cpu"):
        raise ValueError(f"device must be 'cpu', not {device!r}")
    if copy is False:
        raise BufferError("an array of another library is copied to where girih's rows lie: copy must not be False")
    return x.copy() if isinstance(x, Array) else asarray(np.from_dlpack(x))


class _Info:
    """What the Array API asks of a namespace."""

    def capabilities(self) -> dict[str, Any]:
        """Shapes may depend on data."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The only device."""
        return "cpu"

    def devices(self) -> tuple[str, ...]:
        """All devices."""
        return ("cpu",)

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """The types of arrays that are made without one."""
        return dict(np.__array_namespace_info__().default_dtypes())

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """The types by name, of all kinds or those asked for."""
        return dict(np.__array_namespace_info__().dtypes(kind=kind))


def namespace_info() -> _Info:
    """Devices and types, as the Array API asks for them."""
    return _Info()


def attach() -> None:
    """Gives the native class the protocols' methods."""
    methods = {
        "__array_function__": array_function, "__array_ufunc__": array_ufunc, "__array_namespace__": array_namespace,
        "__dlpack__": dlpack, "__dlpack_device__": dlpack_device,
    }  # fmt: skip
    for name, method in methods.items():
        setattr(Array, name, method)

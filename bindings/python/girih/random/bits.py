"""Seeds, and the generator of random words that every rank has alike: Philox4x64-10, counter-based.

A number is a function of the key (from the seed), the number of the call and the element's place: no state but two
words and a counter, and nothing to exchange between ranks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import SeedSequence

from girih import _native

__all__ = ["Philox", "SeedSequence"]

Seed = int | list[int] | tuple[int, ...] | np.ndarray | SeedSequence | None


class Philox:
    """The source of a `Generator`'s words. `seed` must be the same on every rank; None takes rank 0's entropy.

    `state` can be read and set, `spawn` makes independent ones, and `seed_seq` is NumPy's `SeedSequence`. The words are
    Philox4x64-10's, as in NumPy, but each element of an array has its own counter, so the numbers are other ones.

    >>> import girih as gr
    >>> bits = gr.random.Philox(42)
    >>> bits.state["state"]["call"]
    0
    """

    def __init__(self, seed: Seed = None) -> None:
        self._seed = seed
        self._sequence: SeedSequence | None = seed if isinstance(seed, SeedSequence) else None
        self._key: tuple[int, int] | None = None
        self._call = 0

    @property
    def seed_seq(self) -> SeedSequence:
        """The seed as NumPy's `SeedSequence`; if there was none, rank 0's entropy. Collective the first time then."""
        if self._sequence is None:
            seed: Any = self._seed
            if seed is None:
                mine = str(SeedSequence().entropy).encode()
                seed = int(_native.broadcast_bytes(0, mine if _native.rank() == 0 else None))
            self._sequence = SeedSequence(seed)
        return self._sequence

    @property
    def state(self) -> dict[str, Any]:
        """The key and the number of calls made; may be set.

        >>> import girih as gr
        >>> rng = gr.random.default_rng(1)
        >>> before = rng.bit_generator.state
        >>> first = rng.random()
        >>> rng.bit_generator.state = before
        >>> rng.random() == first
        True
        """
        return {"bit_generator": "Philox", "state": {"key": self._current_key(), "call": self._call}}

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        try:
            kind, (first, second), call = value["bit_generator"], value["state"]["key"], value["state"]["call"]
        except (KeyError, TypeError, ValueError):
            raise ValueError("state must be what a girih generator's bit_generator.state gave") from None
        if kind != "Philox":
            raise ValueError(f"state must be for a Philox RNG, not {kind!r}")
        self._key, self._call = (int(first), int(second)), int(call)

    def spawn(self, n_children: int) -> list[Philox]:
        """So many sources whose words have nothing to do with these or with each other's.

        >>> import girih as gr
        >>> [bits.state["state"]["call"] for bits in gr.random.Philox(3).spawn(2)]
        [0, 0]
        """
        return [Philox(child) for child in self.seed_seq.spawn(n_children)]

    def reseed(self, seed: Seed) -> None:
        """Starts anew from a seed."""
        self.__init__(seed)  # type: ignore[misc]

    def next_call(self) -> _native.Stream:
        """The words of the next call."""
        stream = _native.Stream(self._current_key(), self._call)
        self._call += 1
        return stream

    def _current_key(self) -> tuple[int, int]:
        if self._key is None:
            first, second = self.seed_seq.generate_state(2, np.uint64)
            self._key = (int(first), int(second))
        return self._key

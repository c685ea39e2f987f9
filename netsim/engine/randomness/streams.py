"""Random streams: counter-based, lazy, one a purpose.

A stream is named by what it decides (``edge:web->cart/arrivals``) and keyed by (seed, replication, name) through
BLAKE2b, so no stream's numbers depend on which other streams exist or how far they were read. Numbers come from Philox
in growing batches; every transform uses `netsim.engine.randomness.portable` or exact operations, so draws are the same
on any machine.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from netsim.engine.queueing.grid import array_on_grid
from netsim.engine.randomness import portable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Transform = Callable[[Floats], Floats]

_FIRST_BATCH, _LAST_BATCH = 32, 4096
_MASK = 0xFFFF_FFFF_FFFF_FFFF


def stable_hash(*parts: object) -> int:
    """Return 64 bits that depend on the text of ``parts`` only: the same in every process and on every machine."""
    return int.from_bytes(blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest(), "little")


def mix(value: int) -> int:
    """Scramble a 64-bit integer (the finaliser of SplitMix64): a cheap stable hash of small integers."""
    value = (value + 0x9E37_79B9_7F4A_7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return value ^ (value >> 31)


class Stream:
    """Draws of one kind from one stream; call it for the next number.

    ``transform`` maps uniforms on (0, 1), as an array, to the values wanted.
    """

    __slots__ = ("_bits", "_ready", "_size", "_transform")

    def __init__(self, bits: np.random.Philox, transform: Transform) -> None:
        self._bits, self._transform = bits, transform
        self._size, self._ready = _FIRST_BATCH, [0.0]
        self._ready.clear()

    def __call__(self) -> float:
        """Return the next draw."""
        ready = self._ready
        if not ready:
            ready.extend(self.take(self._size)[::-1].tolist())
            self._size = min(2 * self._size, _LAST_BATCH)
        return ready.pop()

    def take(self, count: int) -> Floats:
        """Return the next ``count`` draws of the underlying generator as an array (do not mix with single calls)."""
        raw = self._bits.random_raw(count)
        uniforms = ((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        return self._transform(uniforms)


class Streams:
    """All streams of one replication."""

    def __init__(self, seed: int, replication: int = 0) -> None:
        self.seed, self.replication = seed, replication

    def _philox(self, name: str) -> np.random.Philox:
        digest = blake2b(f"{self.seed}/{self.replication}/{name}".encode(), digest_size=16).digest()
        return np.random.Philox(key=int.from_bytes(digest, "little"))

    def drawing(self, name: str, transform: Transform) -> Stream:
        """Return the stream ``name`` with a transform of your own."""
        return Stream(self._philox(name), transform)

    def uniform(self, name: str) -> Stream:
        """Return uniforms on (0, 1)."""
        return self.drawing(name, lambda uniforms: uniforms)

    def exponential(self, name: str, mean_s: float) -> Stream:
        """Return exponential durations with the given mean, in seconds, on the time grid."""
        return self.drawing(name, lambda uniforms: array_on_grid(-mean_s * portable.log(uniforms)))

    def hash(self, *parts: object) -> int:
        """Return 64 bits for a decision made once that must not consume draws (position in a list, home core)."""
        return stable_hash(self.seed, self.replication, *parts)

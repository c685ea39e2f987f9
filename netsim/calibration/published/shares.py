"""Shares of a host's CPU time by what the kernel does: copies, memory, devices, scheduling, buffers, protocols.

The model's hops cut a pass by place, a profiler by function. ``netsim/data/published/components.yaml`` says of which
kinds of functions the work of each hop is made; work per byte is copying; pages come on top.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.bulk import acknowledgements, merged_buffers
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Cost, Untimed
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.testbed import RECEIVER, SENDER, SOCKETS, Share
from netsim.errors import InputError, Place

Component = Literal["data_copy", "mm", "netdev", "sched", "skb", "tcp/ip", "lock", "etc"]
Parts = Mapping[Component, float]


class _Memory(BaseModel):
    """What an end takes memory in: the figure of one piece, its size, and which line of ``hops`` it is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hop: str
    figure: str
    bytes: int


class _Components(BaseModel):
    """``components.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hops: Mapping[str, Parts]
    memory: Mapping[Literal["receiver", "sender"], _Memory]

    @model_validator(mode="after")
    def _whole(self) -> _Components:
        for hop, parts in self.hops.items():
            if not math.isclose(math.fsum(parts.values()), 1.0):
                raise ValueError(f"the parts of {hop} do not add up to 1")
        return self


@lru_cache(maxsize=1)
def _components() -> _Components:
    text = (resources.files("netsim") / "data" / "published" / "components.yaml").read_text(encoding="utf-8")
    return _Components.model_validate(yaml.safe_load(text))


def parts(bench: Bench, setting: Setting) -> dict[Component, float]:
    """Return seconds of a host for one burst, by component."""
    ways, known = bench.ways(setting), _components()
    sending = setting.text("side", "receiver") in ("sender", "client")
    node, size = (SENDER if sending else RECEIVER), ways.burst_bytes
    pieces = merged_buffers(bench, setting)
    acks = acknowledgements(ways, size, pieces)
    data = [share for share in ways.forward.shares(size, pieces=pieces) if share.node == node]
    back = [share for share in ways.acks.shares(1) if share.node == node]
    memory = known.memory["sender" if sending else "receiver"]
    pages = size / memory.bytes * bench.figure(memory.figure)
    found: dict[Component, list[float]] = {name: [part * pages] for name, part in known.hops[memory.hop].items()}
    if sending:
        found["sched"] = [bench.figure("sched.switch")]
    for times, burst, shares in ((1.0, size, data), (acks, 0, back)):
        for share in shares:
            for component, seconds in _sorted(share, burst, known):
                found.setdefault(component, []).append(times * seconds)
    return {component: math.fsum(each) for component, each in found.items()}


def _sorted(share: Share, size: int, known: _Components) -> Iterator[tuple[Component, float]]:
    """Yield the components of one hop's work on a burst."""
    bytewise = share.bill.byte_ns * size * 1e-9 if share.seconds else 0.0
    yield "data_copy" if share.hop in SOCKETS else "etc", bytewise
    segmentwise = share.hop == "socket.send" and share.bill.segment_ns > 0
    made_of = known.hops.get(f"{share.hop}.segment" if segmentwise else share.hop, known.hops["stack.receive"])
    for component, part in made_of.items():
        yield component, part * (share.seconds - bytewise)


@dataclass(frozen=True, slots=True)
class CpuShare(Untimed):
    """The share of one component in a host's CPU time for a long flow."""

    kind: str = "cpu-share"
    calibrates: int = 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return nothing: a share moves with no factor of the machine. Raises `InputError` for an unknown component."""
        component, known = setting.text("component"), parts(bench, setting)
        if component not in known:
            raise InputError("no such part of a host's work", place=Place(field="configuration.component"),
                             got=component, allowed=", ".join(sorted(known)))  # fmt: skip
        return Cost(0.0)

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the share."""
        found = parts(bench, setting)
        asked = next(component for component in found if component == setting.text("component"))
        counted = found[asked] * (1.0 if asked == "data_copy" else bench.figure("profiler.part"))
        return Answer(counted / (math.fsum(found.values()) - found[asked] + counted))

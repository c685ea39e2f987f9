"""Questions about single packets: rates of one and of several cores, idle time, round trips under a flood.

What a packet meets is a list of costs; ``netsim/data/published/functions.yaml`` reads it out of the row's words.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.case import Row
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Cost
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.transport import RoundTrip
from netsim.datapath.nic import held_back_ns
from netsim.errors import InputError, Place


class _Function(BaseModel):
    """A line of ``functions.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: str
    costs: dict[str, float]
    family: str = "stack"
    scaling: str = "stateless"
    note: str = ""


class _Functions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    functions: tuple[_Function, ...]


@lru_cache(maxsize=1)
def _functions() -> _Functions:
    text = (resources.files("netsim") / "data" / "published" / "functions.yaml").read_text(encoding="utf-8")
    return _Functions.model_validate(yaml.safe_load(text))


def function_of(setting: Setting) -> _Function:
    """Return what a row's packets meet.

    Raises
    ------
    InputError
        When no line of the list fits.
    """
    words = " ".join(
        setting.text(key) for key in ("function", "policy", "kind", "method", "path", "proxy", "filter", "placement")
    ).lower()
    for function in _functions().functions:
        if re.search(function.words, words):
            return function
    raise InputError("nothing is known of this way of a packet", place=Place(field="configuration.function"), got=words)


@dataclass(frozen=True, slots=True)
class PacketRate:
    """Packets a second through one core, or several; or the time of one packet."""

    family: str = "stack"
    calibrates: int = 0
    kind: str = ""

    def __post_init__(self) -> None:
        """Functions of one family share a driver path, and so their baseline."""
        if not self.kind:
            object.__setattr__(self, "kind", f"packets-{self.family}")

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the sum of the costs, at the prices of a flood; misses of caches are waiting, no clock moves them."""
        prices, costs = bench.prices("flood"), function_of(setting).costs
        paid = {key: times * prices[key] * 1e-9 for key, times in costs.items()}
        memory = math.fsum(ns for key, ns in paid.items() if bench.profile.figures[key].scaling == "memory")
        return Cost(math.fsum(paid.values()) - memory, memory)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return one core's time for a packet."""
        if row.quantity.dimension == "time":
            return row.quantity.si
        return _cores(row.setting) / row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """Rows of one core."""
        return _cores(row.setting) == 1

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return a time, or a rate of all cores with the loss that each further core brings."""
        if dimension == "time":
            return Answer(seconds)
        if dimension == "count":
            return Answer(seconds * (bench.hardware.clock_ghz or bench.profile.clock_ghz) * 1e9)
        cores = _cores(setting)
        loss = bench.figure(f"contention.{function_of(setting).scaling}")
        rate = cores / seconds / (1 + loss * (cores - 1))
        offered = setting.number("offered_mpps") * 1e6
        return Answer(min(rate, offered) if offered else rate, bool(offered) and rate >= offered, "")


def _cores(setting: Setting) -> int:
    return setting.count("cores", 1)


@dataclass(frozen=True, slots=True)
class IdleShare(PacketRate):
    """Share of a core left idle by packets below saturation."""

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the idle share."""
        return Answer(idle_share(bench, setting.number("offered_mpps") * 1e6 / _cores(setting), seconds))


def idle_share(bench: Bench, rate: float, seconds: float) -> float:
    """Return the idle share of a core that packets reach at a steady rate and keep busy for ``seconds`` each.

    A core sleeps until the card interrupts, polls until nothing is left, and sleeps again. It sleeps while the card
    collects, and for half the time between two packets in the mean (a poll's end falls anywhere between them); so of
    what its packets leave idle, interrupts take the more the shorter it sleeps, and nothing once it polls all the time.
    """
    asleep = bench.figure("interrupt.gap") + 0.5 / rate
    interrupt = bench.figure("interrupt.poll") + bench.figure("interrupt.idle")
    return max(0.0, 1 - rate * seconds) * asleep / (asleep + interrupt)


@dataclass(frozen=True, slots=True)
class FloodedRoundTrip(RoundTrip):
    """Round trips while a flood is received and thrown away on the same queue, by the row's ``function`` or unread.

    A packet waits until the card interrupts (moderation sets in with the load), and behind what the core polls; softirq
    work goes first, so past saturation nothing is left for the program.
    """

    @property
    def calibrates(self) -> int:
        """Only rows without a flood measure the machine, and those are plain round trips."""
        return 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the usual cost and the waiting in the server's receive queue."""
        usual = RoundTrip().cost(bench, setting)
        rate = setting.number("background_udp_mpps") * 1e6
        if not rate:
            return usual
        met = setting.text("function", "UdpNoPorts")
        each = packet_seconds(bench, setting.but(function=met, policy="", path="nic"))
        busy = rate * each
        if busy >= 1:
            return Cost(usual.work, SATURATED)
        moderated = held_back_ns(busy, bench.prices()) * 1e-9
        return Cost(usual.work, usual.waiting + moderated + busy / (2 * (1 - busy)) * each)

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return a rate; none past saturation."""
        if seconds >= SATURATED:
            return Answer(0.0, note="saturated")
        return RoundTrip.answer(self, bench, setting, seconds, dimension)


def packet_seconds(bench: Bench, setting: Setting) -> float:
    """Return one core's time for a packet, from the nearest baseline row and what is done besides."""
    question = PacketRate(function_of(setting).family)
    cost, anchor = question.cost(bench, setting), bench.anchor(question, setting.but(streams="1"))
    if anchor is None:
        return bench.factor * cost.work + cost.waiting
    return anchor.seconds + bench.factor * (cost.work - anchor.cost.work) + cost.waiting - anchor.cost.waiting


SATURATED = 1e3
"""Seconds that stand for never."""


@dataclass(frozen=True, slots=True)
class ForwardLatency(PacketRate):
    """Time through a forwarding host under load: both cards, moderation of interrupts, the packet's own work."""

    kind: str = "forward-latency"

    def informs(self, bench: Bench, row: Row) -> bool:
        """Never: no bare host forwards."""
        return False

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the work, and what waits."""
        cards = bench.figure("nic.transmit_latency") + bench.figure("nic.receive_latency")
        moderated = bench.figure("nic.moderation_adaptive") + bench.figure("interrupt.latency")
        return PacketRate.cost(self, bench, setting).plus(Cost(0.0, cards + moderated))

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the time."""
        return Answer(seconds)

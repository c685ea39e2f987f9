"""Requests at a steady rate: what they wait for each other, on bare hosts and behind a plugin.

A pair of nodes that can serve mu requests a second and gets lambda of them is taken for one queue (M/M/1; Kleinrock,
Queueing Systems I, 3.2): each percentile of the time in it is ``ln(1 / (1 - p)) / (mu - lambda)``. So what a bare row
has beyond a lone round trip grows, behind a plugin that takes more of the nodes' time, by
``(mu - lambda) / (mu' - lambda)``. Only as far as it is a queue's. By Little's law N requests, lambda times that time,
are there at once; of one queue's N / (1 + N) find another before them, and who finds none waits for none. And
percentiles of a queue grow with that logarithm from the lowest one that was measured; what a high one has beyond are
pauses of the hosts, which last as long behind any plugin.
"""

from __future__ import annotations

import math
import re

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.question import Anchor
from netsim.calibration.published.services import Requests
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.testbed import RECEIVER, SENDER
from netsim.calibration.published.transport import RoundTrip, host_cpu

RATES = ("requests_per_second", "rps", "request_rate", "target_rps", "offered_rps", "rate")
"""Keys of the requests a second that a load generator asks for; ``load`` is one where it says so (``150k rps``)."""
FULLEST = 0.95
"""The highest use of a node that a steady state is told for; a queue that is fuller does not end."""


def rate_of(setting: Setting) -> float:
    """Return the requests a second a row states, 0 where it states none."""
    if re.search(r"\d.*(rps|req)", setting.text("load").lower()):
        return setting.number("load")
    return next((setting.number(key) for key in RATES if key in setting), 0.0)


def capacity(bench: Bench, setting: Setting) -> float:
    """Return the requests a second that the busier node can serve.

    As a baseline row of it says, else by the model's work for a request and a usual program's.
    """
    kept = setting.text("keepalive", "on") != "off"
    question = Requests(keepalive=kept)
    if any(bench.baselines(question.kind)) or any(bench.baselines(question.stands_in)):
        return bench.expect(question, setting, "rate").value
    test = "round-trip" if kept else "connection"
    network = max(host_cpu(bench, setting, test, side).work for side in ("client", "server"))
    reply, size = bench.ways(setting).reply, max(1, setting.count("msg_bytes", 1))
    network += max(reply.work(size, node=node) - reply.work(1, node=node) for node in (SENDER, RECEIVER))
    return bench.hardware.cores / (bench.factor * (network + bench.figure("program.request")))


def queued(bench: Bench, question: RoundTrip, anchor: Anchor) -> float:
    """Return the seconds of a baseline row's percentile that are a queue's."""
    own = anchor.cost.waiting + bench.factor * anchor.cost.work
    rest = max(0.0, anchor.seconds - own)
    lowest = min(_percentiles(bench, question, anchor), default=(question.percentile, anchor.seconds))
    share, seconds = lowest
    if share >= question.percentile:
        return rest
    return min(rest, max(0.0, seconds - own) * math.log1p(-question.percentile) / math.log1p(-share))


def _percentiles(bench: Bench, question: RoundTrip, anchor: Anchor) -> list[tuple[float, float]]:
    """Return the percentiles, at least the median, that were measured beside a baseline row, with their times."""
    stated = anchor.row.setting.without("percentile").values
    return [
        (other.percentile, other.seconds(bench, row))
        for row, other in bench.baselines()
        if isinstance(other, type(question)) and row.setting.without("percentile").values == stated
        and 0.5 <= other.percentile < 1
    ]  # fmt: skip


def waited_more(bench: Bench, question: RoundTrip, setting: Setting) -> float:
    """Return the seconds that requests at a row's steady rate wait for each other beyond those of its baseline row."""
    rate, anchor = rate_of(setting), bench.anchor(question, setting)
    if not rate or anchor is None or rate_of(anchor.row.setting) != rate:
        return 0.0
    free, left = (capacity(bench, each) - rate for each in (anchor.row.setting, setting))
    least = (1 - FULLEST) / FULLEST * rate
    beyond = queued(bench, question, anchor)
    met = rate * beyond / (1 + rate * beyond)
    return beyond * met * (max(least, free) / max(least, left) - 1)

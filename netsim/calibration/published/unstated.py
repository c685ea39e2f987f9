"""What nobody states of a testbed, as one draw has it: what cards do for tunnels, spent credits, other limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from netsim.calibration.published.hardware import CLOUD_S, Hardware, Tunnels
from netsim.calibration.published.setting import Setting

if TYPE_CHECKING:
    from netsim.calibration.published.bench import Bench
    from netsim.calibration.published.question import Anchor, Question

UNUSUAL = 2.0
"""From how many times the usual on, up or down, a draw of a thing that nobody states is the unusual one."""
FAR_FASTER = 2.0
"""From how many times faster hosts are by the model that something beside them may hold a stream: more than a machine
factor ever was beyond its range."""
ALIKE, OTHERWISE = 1.1, 1.5
"""Two rates up to the first factor apart are the same; work from the second on differs."""


def tunnels(hardware: Hardware, drawn: Mapping[str, float]) -> Tunnels | None:
    """Return what cards of which nothing is said do for packets in tunnels; `None` for the usual thing."""
    share = drawn.get("tunnel.unstated", 1.0)
    wanted: tuple[Tunnels, ...] = ("whole",) if share > UNUSUAL else ("cut", "unmerged") if share < 1 / UNUSUAL else ()
    return next((each for each in wanted if each in hardware.tunnels), None)


def without_credits(hardware: Hardware, spent: float) -> float:
    """Return how much longer work takes on a burstable instance that is busy and may have spent its credits.

    Providers lower its share of a processor gradually to the one it always has, and nobody states how far a test was.

    Parameters
    ----------
    spent: 0 for a whole processor, 1 for the share it always has.
    """
    return math.pow(hardware.credits, -spent)


def farther_s(bench: Bench, setting: Setting) -> float:
    """Return by how much virtual machines are farther apart, one way, than the usual path of one zone.

    A baseline row that is a time between nodes says how far they are; without one it is drawn.
    """
    if not bench.hardware.distance_unstated or bench.subject(setting).same_node:
        return 0.0
    if any(hasattr(q, "asleep") and not bench.subject(row.setting).same_node for row, q in bench.baselines()):
        return 0.0
    drawn = bench.drawn.get("network.unstated")
    return 0.0 if drawn is None else drawn * 1e-9 - CLOUD_S


def beside_hosts(bench: Bench, question: Question, setting: Setting, anchor: Anchor) -> bool:
    """Tell whether something beside the hosts holds a stream: a shaper, the hypervisor, a window.

    It works beside their cores, so what a plugin adds to these costs nothing until they are the slowest. A bare row far
    below what its hosts can do leaves that open, and it is drawn; rows that agree though their programs do not work
    alike (messages of 1 and 8 KiB) decide it.
    """
    apart = not any(bench.subject(each).same_node for each in (setting, anchor.row.setting))
    own = anchor.cost.waiting + bench.busy_factor * anchor.cost.work
    if question.kind not in ("bulk", "datagrams") or not apart or anchor.seconds < FAR_FASTER * own:
        return False
    if bench.drawn.get("limit.unstated", 1.0) > UNUSUAL:
        return True
    return any(
        row.setting.streams == anchor.row.setting.streams
        and not bench.subject(row.setting).same_node
        and _apart(other.seconds(bench, row), anchor.seconds) < ALIKE
        and _apart(math.fsum(other.cost(bench, row.setting)), math.fsum(anchor.cost)) > OTHERWISE
        for row, other in bench.baselines("bulk")
    )  # fmt: skip


def _apart(one: float, other: float) -> float:
    return max(one, other) / min(one, other)

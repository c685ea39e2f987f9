"""What lies between two hosts beside the line: a provider's limit on one flow, the switch in front of guests."""

from __future__ import annotations

import math
from collections.abc import Iterator

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.testbed import Ways
from netsim.datapath.nic import SoftwareSegmentation
from netsim.datapath.socket import SocketSend

SWITCH = "virtual.switch"
"""The figure of what a hypervisor's switch takes for one packet."""


def let_through(bench: Bench, setting: Setting, ways: Ways, whole: float, datagram_bytes: int = 0) -> float:
    """Return the payload bits a second that pass beside the line.

    Parameters
    ----------
    ways: of the row.
    whole: payload bits a second that fit on the line.
    datagram_bytes: payload of a datagram; 0 for a stream.
    """
    flows = 1 if ways.forward.route.paired else setting.streams
    return flows * min(_allowed(bench, whole), _switched(bench, ways, datagram_bytes))


def _allowed(bench: Bench, whole: float) -> float:
    """Return what a provider's network lets one flow have; a baseline flow that got more shows that it lets it."""
    held = bench.hardware.flow_bps
    single = (row for row, _ in bench.baselines("bulk") if row.setting.streams == 1)
    if held is None or any(row.quantity.si > held and not bench.subject(row.setting).same_node for row in single):
        return math.inf
    return held / bench.testbed.machine.nic_bps * whole


def _switched(bench: Bench, ways: Ways, datagram_bytes: int) -> float:
    """Return what one core of the hypervisor passes on of a flow; a baseline flow that got more has no such core."""
    if not bench.hardware.virtual or bench.hardware.nic_bps is None:
        return math.inf
    packets = 1 / bench.figure(SWITCH)
    if any(measured > packets for measured in _measured(bench)):
        return math.inf
    return packets * _handed_over(ways, datagram_bytes) * 8


def _measured(bench: Bench) -> Iterator[float]:
    """Yield the packets a second of one flow in baseline rows between nodes."""
    for row, question in (*bench.baselines("bulk"), *bench.baselines("datagrams")):
        if row.setting.streams == 1 and not bench.subject(row.setting).same_node:
            ways = bench.ways(row.setting)
            size = row.setting.count("msg_bytes", ways.forward.route.mss_bytes) if question.kind == "datagrams" else 0
            yield row.quantity.si / (8 * _handed_over(ways, size) if row.quantity.dimension == "bit_rate" else 1)


def _handed_over(ways: Ways, datagram_bytes: int) -> int:
    """Return the payload of a packet as the guest hands it over: a whole buffer, if no stack has to cut it."""
    mss = ways.forward.route.mss_bytes
    return min(datagram_bytes, mss) or (mss if _cut(ways) else ways.burst_bytes)


def _cut(ways: Ways) -> bool:
    """Tell whether the guest's stack cuts what its card does not."""
    hops = [crossing.hop for crossing in ways.forward.path.crossings]
    return any(
        isinstance(hop, SoftwareSegmentation) or (isinstance(hop, SocketSend) and not hop.aggregates) for hop in hops
    )

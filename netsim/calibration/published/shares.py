"""Shares of a host's CPU time by what the kernel does: copies, memory, devices, scheduling, buffers, protocols.

The model's hops cut a pass by place, a profiler by function. Copies are the hops' costs per byte; devices are the
card's hops. Buffers are counted, one a segment or what the sender keeps whole, and taken out of the hop;
pages of 4 KiB at the receiver come on top, because a card's page pool runs dry while data wait in the socket, and a
sender takes 32 KiB at a time. The protocols are what is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from netsim.calibration.published.bench import Answer, Bench, Cost, Untimed
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.testbed import RECEIVER, SENDER, SOCKETS, Share
from netsim.calibration.published.transport import acknowledgements, merged_buffers
from netsim.errors import InputError, Place

COMPONENTS = ("data_copy", "mm", "netdev", "sched", "skb", "tcp/ip")
PAGE_BYTES, SENDER_CHUNK_BYTES = 4096, 32768


def parts(bench: Bench, setting: Setting) -> dict[str, float]:
    """Return seconds of a host for one burst, by component. Raises `InputError` for a component nobody knows."""
    ways = bench.ways(setting, "hot_loop")
    sending = setting.text("side", "receiver") in ("sender", "client")
    node, size = (SENDER if sending else RECEIVER), ways.burst_bytes
    pieces = merged_buffers(bench, setting)
    acks = acknowledgements(ways, size, pieces)
    own = "socket.receive" if sending else "socket.send"
    data = [share for share in ways.forward.shares(size, pieces=pieces) if share.node == node]
    back = [share for share in ways.reply.shares(1) if share.node == node and share.hop != own]
    copied = math.fsum(_copied(share, size) for share in data)
    device = math.fsum(_on_card(share) for share in data) + acks * math.fsum(_on_card(share) for share in back)
    work = math.fsum(share.seconds for share in data) + acks * math.fsum(share.seconds for share in back)
    segments = math.ceil(size / ways.forward.route.mss_bytes)
    made = segments if not (sending and ways.forward.sent_whole) else 1
    buffers = (made + acks) * bench.figure("skb.cycle")
    pages = size / (SENDER_CHUNK_BYTES if sending else PAGE_BYTES) * bench.figure("page.cycle")
    protocols = max(0.0, work - copied - device - (buffers + pages if sending else 0.0))
    device = max(0.0, device - (0.0 if sending else buffers))
    return {
        "data_copy": copied, "mm": pages, "netdev": device, "skb": buffers, "tcp/ip": protocols,
        "sched": pieces * bench.figure("sched.switch"),
    }  # fmt: skip


def _copied(share: Share, size: int) -> float:
    return share.bill.byte_ns * size * 1e-9 if share.hop in SOCKETS else 0.0


def _on_card(share: Share) -> float:
    return share.seconds if share.hop.startswith("nic.") else 0.0


@dataclass(frozen=True, slots=True)
class CpuShare(Untimed):
    """The share of one component in a host's CPU time for a long flow."""

    kind: str = "cpu-share"
    calibrates: int = 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return nothing: a share moves with no factor of the machine."""
        component = setting.text("component")
        if component not in COMPONENTS:
            raise InputError("no such part of a host's work", place=Place(field="configuration.component"),
                             got=component, allowed=", ".join(COMPONENTS))  # fmt: skip
        return Cost(0.0)

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the share."""
        found = parts(bench, setting)
        return Answer(found[setting.text("component")] / math.fsum(found.values()))

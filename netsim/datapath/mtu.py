"""MTU: what both ends believe fits, and what really does.

A pod's MTU is its plugin's business: the node's interface less the tunnel's overhead, unless the user sets one. Set too
large, segments that no link can carry after encapsulation are lost while small ones pass: the classic black hole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from netsim.cluster.objects import Node
from netsim.datapath.path import Connection, Terminal
from netsim.datapath.plugin import Plugin

OUTSIDE_MTU = 1500
"""What a host outside is taken to use."""
LOOPBACK_MTU = 65536
"""Of ``lo``, which programs of one network namespace reach each other through (Linux drivers/net/loopback.c)."""


class Mtus(NamedTuple):
    """Bytes of an inner IP packet: the largest that both ends make (``used``), and that the ``path`` can carry."""

    used: int
    path: int

    @property
    def black_hole(self) -> bool:
        """Full-sized packets are lost."""
        return self.used > self.path

    @property
    def warning(self) -> str:
        """What a reader must know of a black hole."""
        full = f"packets of {self.used} bytes, {self.path} fit"
        return f"MTU black hole: the ends make {full}: small ones pass, large ones stall"


def between_nodes(plugin: Plugin, setting: int | Literal["auto"], nodes: Iterable[Node]) -> tuple[Mtus, ...]:
    """Return the MTUs of pods on different nodes, once for every kind of node, the smaller interface's first.

    The node with the smaller interface decides for a pair, so each kind is looked at beside one of its own.
    """
    kinds = {(node.machine.mtu, any(":" in address for address in node.addresses[:1])) for node in nodes}
    return tuple(
        Mtus(plugin.pod_mtu_bytes(mtu, ipv6) if setting == "auto" else setting, mtu - plugin.tunnel_bytes(ipv6))
        for mtu, ipv6 in sorted(kinds)
    )


def mtus(plugin: Plugin, setting: int | Literal["auto"], asked: Connection) -> Mtus:
    """Return the MTUs of a connection.

    TCP agrees on the smaller of both ends' segments. A process of a node knows the MTU of the tunnel device it sends
    through; a pod knows only its own interface's.

    Parameters
    ----------
    plugin: gives pods their MTU.
    setting: pod MTU in bytes where the user sets one, else ``auto``.
    asked: the connection.
    """
    nodes = [node for node in (asked.source.node, asked.via, asked.target.node) if node is not None]
    ipv6 = any(":" in node.addresses[0] for node in nodes if node.addresses)
    crossed = len({node.name for node in nodes}) > 1
    tunnel = plugin.tunnel_bytes(ipv6) if crossed and asked.target.pod is not None else 0

    def own(end: Terminal) -> int:
        if end.node is None:
            return OUTSIDE_MTU
        if end.on_host:
            return end.node.machine.mtu - tunnel
        return plugin.pod_mtu_bytes(end.node.machine.mtu, ipv6) if setting == "auto" else setting

    stays = len(nodes) == 2 and not crossed
    if asked.loops_back or (stays and asked.source.on_host and asked.target.on_host):
        return Mtus(LOOPBACK_MTU, LOOPBACK_MTU)
    used = min(own(asked.source), own(asked.target))
    return Mtus(used, used if stays else min(node.machine.mtu for node in nodes) - tunnel)

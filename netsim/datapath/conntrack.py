"""Connection tracking: what it costs, how large tables are and how long entries stay.

Sources: ``nf_conntrack_tcp_timeout_time_wait`` 120 s; ``nf_conntrack_udp_timeout`` 30 s for flows that have not been
answered (every tunnel flow: the answer to an outer packet has ports of its own) or were answered once (Linux
Documentation/networking/nf_conntrack-sysctl.rst); kube-proxy's ``--conntrack-max-per-core`` 32768 and
``--conntrack-min`` 131072 (kubernetes pkg/proxy/apis/config/v1alpha1/defaults.go).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netsim.datapath.costs import Prices
from netsim.datapath.step import Everywhere
from netsim.datapath.types import Bill, Packet

TCP_CLOSED_S = 120.0
"""How long the entry of a closed TCP connection stays."""
UDP_SHORT_S = 30.0
"""How long the entry of a one-way or short UDP flow stays after its last packet."""
PER_CORE, LEAST = 32_768, 131_072


def usual_limit(cores: int) -> int:
    """Return the number of entries kube-proxy allows on a node."""
    return max(PER_CORE * cores, LEAST)


@dataclass(frozen=True, slots=True)
class Conntrack(Everywhere):
    """``nf_conntrack``: a look-up for packets of known connections; an entry made and confirmed for the first one."""

    hop: Literal["conntrack"] = "conntrack"

    @property
    def name(self) -> str:
        """Name in reports."""
        return "conntrack"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the look-up, and setting the entry up for a new connection."""
        return Bill(packet_ns=prices["conntrack.packet"] + (prices["conntrack.new"] if packet.new else 0.0))

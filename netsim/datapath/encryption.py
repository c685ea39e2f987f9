"""Encrypted tunnels between nodes: WireGuard, and IPsec (ESP in tunnel mode).

No card segments or merges what it cannot read: bursts are cut into segments before they are sealed and merged again
behind the tunnel, so everything in between is paid for each segment. IPsec's cipher (AES-GCM) works where the packet
is, on the flow's own cores. WireGuard hands each packet to workers on other cores and gets it back in order
(drivers/net/wireguard/queueing.h), so its cipher bounds no single flow: a flow pays for the hand-overs, and waits for
them where the workers sleep. The workers' own time is charged to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netsim.datapath.costs import Prices
from netsim.datapath.step import Plain
from netsim.datapath.types import Bill, Bursts, Packet

Cipher = Literal["wireguard", "ipsec"]
CIPHERS: tuple[Cipher, ...] = ("wireguard", "ipsec")
SEALED_BYTES = {"wireguard": 8 + 16 + 16, "ipsec": 8 + 8 + 2 + 16}
"""Beyond the outer IP header. WireGuard: UDP, its header and tag. ESP: header, IV, trailer, tag (RFC 4303, 4106)."""


def bill(cipher: Cipher, prices: Prices) -> Bill:
    """Return what sealing or opening costs: per segment, for the bytes, and until a worker wakes."""
    if cipher == "ipsec":
        return Bill(segment_ns=prices["ipsec.packet"], byte_ns=prices["ipsec.byte"])
    return Bill(segment_ns=prices["wireguard.packet"], setup_ns=prices["wireguard.handoff"])


@dataclass(frozen=True, slots=True)
class Seal(Plain):
    """Segments made and encrypted, one by one."""

    cipher: Cipher
    name: str = "seal"

    @property
    def bursts(self) -> Bursts:
        """Split."""
        return Bursts.SPLIT

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the cipher, and cutting each segment out of its buffer."""
        sealed = bill(self.cipher, prices)
        return sealed._replace(segment_ns=sealed.segment_ns + prices["nic.gso_segment"])


@dataclass(frozen=True, slots=True)
class Open(Plain):
    """Segments checked and decrypted."""

    cipher: Cipher
    name: str = "open"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the cipher."""
        return bill(self.cipher, prices)

"""Sockets: system calls, the TCP or UDP stack, the copy, the wake-up of a waiting thread."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.datapath.costs import Prices
from netsim.datapath.step import Plain
from netsim.datapath.types import Bill, Bursts, Packet


def transport(packet: Packet) -> str:
    """Return whose stack prices apply: those of datagrams, or of a connection (SCTP's are taken as TCP's)."""
    return "udp" if packet.protocol == "UDP" else "tcp"


@dataclass(frozen=True, slots=True)
class SocketSend(Plain):
    """The sending thread's system call down to IP output; ``aggregates`` is False where segments leave one by one.

    A sender can hand down buffers of many segments (GSO) only if the device below takes checksums off it. UDP
    datagrams above the MTU leave as fragments.
    """

    aggregates: bool = True
    software_checksum: bool = False
    name: str = "socket.send"

    @property
    def bursts(self) -> Bursts:
        """Keep the buffer whole, or split it before anything else happens."""
        return Bursts.KEEP if self.aggregates else Bursts.SPLIT

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the call, the copy in, and opening the socket with the first packet."""
        call = prices[f"socket.send.{transport(packet)}"] + (prices["socket.open"] if packet.new else 0.0)
        byte = prices["socket.send.byte"] + (prices["checksum.byte"] if self.software_checksum else 0.0)
        alone = 0.0 if self.aggregates or packet.protocol == "UDP" else prices["socket.send.segment"]
        return Bill(packet_ns=call, byte_ns=byte, segment_ns=alone)


@dataclass(frozen=True, slots=True)
class StackReceive(Plain):
    """IP input and the transport protocol, up to the socket's queue, in softirq context."""

    name: str = "stack.receive"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge once per buffer that GRO made."""
        return Bill(packet_ns=prices[f"stack.receive.{transport(packet)}"])


@dataclass(frozen=True, slots=True)
class SocketReceive(Plain):
    """The receiving thread: it is woken if it waits, returns from its system call and copies the data out."""

    name: str = "socket.receive"

    @property
    def bursts(self) -> Bursts:
        """What is read is one piece again, however it came."""
        return Bursts.WHOLE

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge call and copy; the wake-up delays an idle receiver only."""
        call = prices[f"socket.receive.{transport(packet)}"] + (prices["socket.open"] if packet.new else 0.0)
        return Bill(packet_ns=call, byte_ns=prices["socket.receive.byte"], setup_ns=prices["wakeup.latency"])


@dataclass(frozen=True, slots=True)
class Loopback(Plain):
    """The ``lo`` device of a network namespace: transmit is receive, on the sender's core."""

    name: str = "loopback"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge one trip through the backlog queue."""
        return Bill(packet_ns=prices["loopback.packet"])

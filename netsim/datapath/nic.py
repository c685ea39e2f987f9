"""The network card and its driver: transmit with or without segmentation offload, receive with GRO, interrupts, DMA.

Whether the 64 KiB buffer survives is decided here: the hops of these functions say where it is split and where segments
are merged again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netsim.cluster.objects import Interrupts, Machine
from netsim.datapath.costs import Prices
from netsim.datapath.placement import driver_ns, placement
from netsim.datapath.step import Plain
from netsim.datapath.types import Bill, Bursts, Hop, Packet, Role


def transmit(machine: Machine, tunnelled: bool, *, datagrams: bool = False) -> Iterator[Hop]:
    """Yield what a packet meets from the queueing discipline to the wire.

    The card segments (TSO) if it can checksum, and the inner packet of a tunnel only with tunnel offload; otherwise the
    stack segments in software in front of the driver (GSO). It does so with ``datagrams`` that came here whole.
    """
    if datagrams:
        yield Fragmentation()
    elif not (machine.tso and machine.checksum and (machine.tunnel or not tunnelled)):
        yield SoftwareSegmentation()
    yield Transmit()


def receive(machine: Machine, tunnelled: bool, *, datagrams: bool = False) -> Iterator[Hop]:
    """Yield what a packet meets from the interrupt into the stack, as far as it happens before decapsulation.

    Segments of a tunnel are merged here only when the card understands the tunnel, ``datagrams`` never.
    """
    yield Interrupt()
    yield Receive(placement(machine))
    if machine.gro and (not tunnelled or (machine.tunnel and machine.checksum)):
        yield Merge(software_checksum=not machine.checksum, merges=not datagrams)


def held_back_ns(busy: float, prices: Prices) -> float:
    """Return by how much a card that adapts its moderation delays an interrupt, ``busy`` being its core's load.

    It is at its step from a load of `MODERATED` on, which a flood of small packets brings at about 1 Mpps.
    """
    return prices["nic.moderation_adaptive"] * min(1.0, busy / MODERATED)


MODERATED = 0.3
"""Load of a core by its card's packets from which on moderation is at its step."""


def steered(machine: Machine, role: Role) -> Role:
    """Return the core that does what follows the driver's work on ``role``: with RPS, one picked by the flow's hash."""
    return _STEERED[role] if machine.rps else role


_STEERED = {Role.SOFTIRQ_CORE: Role.STEERED_CORE, Role.VIA_CORE: Role.VIA_STEERED_CORE}


def merge_after_decapsulation(machine: Machine, *, datagrams: bool = False) -> Iterator[Hop]:
    """Yield the GRO of inner packets behind a tunnel device, for cards without tunnel offload.

    It needs the outer checksum to be known good: without checksum offload every segment goes on alone.
    """
    if machine.gro and machine.checksum and not machine.tunnel:
        yield Merge(merges=not datagrams, name="nic.gro_inner")


@dataclass(frozen=True, slots=True)
class SoftwareSegmentation(Plain):
    """GSO: one buffer becomes a list of segments just before the driver."""

    name: str = "nic.gso"

    @property
    def bursts(self) -> Bursts:
        """Split."""
        return Bursts.SPLIT

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge a header and a buffer per segment."""
        return Bill(segment_ns=prices["nic.gso_segment"])


@dataclass(frozen=True, slots=True)
class Fragmentation(Plain):
    """A datagram that virtual devices took whole becomes fragments just before the driver (udp4_ufo_fragment)."""

    name: str = "nic.fragments"

    @property
    def bursts(self) -> Bursts:
        """Split."""
        return Bursts.SPLIT

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge a header and a buffer for each fragment beyond the first; what fits needs none."""
        further = prices["nic.gso_segment"]
        return Bill(packet_ns=-further, segment_ns=further)


@dataclass(frozen=True, slots=True)
class Transmit(Plain):
    """Queueing discipline, driver, doorbell; the card fetches and, if it was given a large buffer, segments it."""

    name: str = "nic.transmit"

    @property
    def bursts(self) -> Bursts:
        """The wire carries segments."""
        return Bursts.SPLIT

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the driver; the card's own time is latency."""
        return Bill(packet_ns=prices["nic.transmit"], latency_ns=prices["nic.transmit_latency"])


@dataclass(frozen=True, slots=True)
class ReceiveDma(Plain):
    """The receiving card puts the packet into memory: the last part of the link's latency."""

    name: str = "nic.dma"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge no core."""
        return Bill(latency_ns=prices["nic.receive_latency"])


@dataclass(frozen=True, slots=True)
class Interrupt(Plain):
    """Interrupt delivery and moderation in front of an idle core; a core that polls already takes none."""

    name: str = "nic.interrupt"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge set-up time; setting polling up is work in it."""
        poll = prices["interrupt.poll"]
        return Bill(setup_ns=prices["interrupt.latency"] + poll, idle_ns=poll)


@dataclass(frozen=True, slots=True)
class Receive(Plain):
    """The driver: descriptor, buffer, into the stack, for every segment on the wire."""

    interrupts: Interrupts = "hashed"
    name: str = "nic.receive"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the driver per segment."""
        return Bill(segment_ns=prices["nic.receive"] + driver_ns(self.interrupts, prices))


@dataclass(frozen=True, slots=True)
class Merge(Plain):
    """GRO: segments of one flow become one buffer again; packets that it does not merge are looked at as well."""

    software_checksum: bool = False
    merges: bool = True
    name: str = "nic.gro"

    @property
    def bursts(self) -> Bursts:
        """Merge."""
        return Bursts.MERGE if self.merges else Bursts.KEEP

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge per segment, and per byte where GRO has to verify checksums itself."""
        byte = prices["checksum.byte"] if self.software_checksum and self.merges else 0.0
        return Bill(segment_ns=prices["nic.gro_segment"], byte_ns=byte)


@dataclass(frozen=True, slots=True)
class Steer(Plain):
    """RPS, behind GRO: the flow's hash picks a core, and the buffer is put into that core's backlog.

    ``get_rps_cpu`` and ``enqueue_to_backlog`` of Linux' net/core/dev.c, called by ``netif_receive_skb``.
    """

    name: str = "rps.steer"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge once per buffer that GRO made."""
        return Bill(packet_ns=prices["rps.enqueue"])


@dataclass(frozen=True, slots=True)
class Backlog(Plain):
    """The other side of RPS: an interrupt from core to core wakes it, ``process_backlog`` takes the buffer."""

    name: str = "rps.backlog"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the queue and what the cache lacks; the interrupt delays an idle core only."""
        return Bill(packet_ns=prices["rps.dequeue"], setup_ns=prices["rps.interrupt"])

"""Sockets: system calls, the TCP or UDP stack, the copy, the wake-up of a waiting thread.

Sockets of one node can be joined in eBPF (sockmap): once a connection stands its data go to the peer's queue as
messages, without segments or acknowledgements, through a program that gives its verdict (Linux net/ipv4/tcp_bpf.c,
net/core/skmsg.c).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netsim.cluster.objects import Interrupts, Kernel, older
from netsim.datapath.costs import Prices
from netsim.datapath.placement import handover_ns, read_ns
from netsim.datapath.step import Plain
from netsim.datapath.types import Bill, Bursts, Packet

PAGE_BYTES = 4096
FromFile = Literal["page", "pages"]
"""How sendfile hands a file's pages to TCP: by a call for each, or many with one call (MSG_SPLICE_PAGES)."""
PAGE_SENT: dict[FromFile, str] = {"page": "socket.sendfile.page", "pages": "socket.sendfile.spliced"}
PAGES_TOGETHER: Kernel = (6, 5)
"""From this Linux on sendfile hands down many pages with one call (net/ipv4/tcp.c, tcp_sendpage removed)."""


def file_pages(kernel: Kernel | None) -> FromFile:
    """Return how a kernel's sendfile hands down pages."""
    return "page" if older(kernel, PAGES_TOGETHER) else "pages"


SEND_BUFFER_BYTES = 212_992
"""Of a socket nobody sets otherwise (``net.core.wmem_default``, Linux net/core/sock.c)."""
BUFFER_BYTES, SHARED_BYTES, HEADER_BYTES = 256, 320, 60
"""A buffer's own object, what its data end with (``skb_shared_info``), and room for headers in front."""


def held_datagrams(payload_bytes: int) -> int:
    """Return how many datagrams a send buffer holds: each counts with its memory, rounded up to a power of two.

    One more may be sent while the buffer is not full (Linux ``sock_alloc_send_pskb``, ``SKB_TRUESIZE``).
    """
    memory = 1 << (payload_bytes + HEADER_BYTES + SHARED_BYTES - 1).bit_length()
    return SEND_BUFFER_BYTES // (memory + BUFFER_BYTES) + 1


def sent_bytes(write_bytes: int, mss_bytes: int, burst_bytes: int, *, stays: bool) -> int:
    """Return the payload of the buffers that a stream's socket sends, if its program writes so much a call.

    Writes gather in one buffer while an earlier one is with the device (Linux net/ipv4/tcp.c ``tcp_should_autocork``),
    which a card is until it says otherwise. Devices within a node (veth, bridge, loopback) hand on to the receiver's IP
    before the call returns, and that takes the buffer from its socket (``skb_orphan`` in ip_input.c). So each write
    leaves at once; less than a segment waits for more (Nagle), which fills the segments of 64 KiB of loopback.

    Parameters
    ----------
    write_bytes: of a call.
    mss_bytes, burst_bytes: payload of a segment, and of the largest buffer.
    stays: both ends are on one node.
    """
    return max(mss_bytes, min(write_bytes, burst_bytes)) if stays else burst_bytes


def transport(packet: Packet) -> str:
    """Return whose stack prices apply: those of datagrams, or of a connection (SCTP's are taken as TCP's)."""
    return "udp" if packet.protocol == "UDP" else "tcp"


def _opens(packet: Packet, prices: Prices) -> float:
    """Return what making a socket, or ending it, costs the sending program: connect, or close."""
    if packet.new:
        return prices[f"socket.open.{transport(packet)}"]
    return prices["socket.close"] if packet.turn == "close" else 0.0


def _call(side: str, packet: Packet, joined: bool) -> str:
    """Return the figure of a system call: TCP's, UDP's, or that of a message between joined sockets."""
    return f"socket.joined.{side}" if joined and not packet.first else f"socket.{side}.{transport(packet)}"


@dataclass(frozen=True, slots=True)
class SocketSend(Plain):
    """The sending thread's system call down to IP output; ``aggregates`` is False where segments leave one by one.

    A sender can hand down buffers of many segments (GSO) only if the device below takes checksums off it. UDP
    datagrams above the MTU leave as fragments, which IP makes one by one, unless the device below takes them whole.
    """

    aggregates: bool = True
    software_checksum: bool = False
    freed: Interrupts = "hashed"
    """Where buffers are freed, and acknowledgements received: on the cores that the card wakes."""
    joined: bool = False
    from_file: FromFile | None = None
    """The call is sendfile: pages of a file become fragments of the buffer, nothing is copied."""
    name: str = "socket.send"

    @property
    def bursts(self) -> Bursts:
        """Keep the buffer whole, or split it before anything else happens."""
        return Bursts.KEEP if self.aggregates else Bursts.SPLIT

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the call, the copy in or the pages taken; packets without data are TCP's and IP's output alone.

        A socket is opened with a connection's first packet, and closed with its last.
        """
        if self.joined and packet.turn == "bare":
            return Bill()
        sent = "socket.send.segment" if packet.by_stack else _call("send", packet, self.joined)
        call = prices[sent] + _opens(packet, prices)
        taken = prices["socket.send.byte"] if self.from_file is None else prices[PAGE_SENT[self.from_file]] / PAGE_BYTES
        byte = taken + (prices["checksum.byte"] if self.software_checksum else 0.0)
        if self.aggregates:
            return Bill(packet_ns=call + handover_ns(self.freed, prices), byte_ns=byte)
        if packet.protocol == "UDP":
            further = prices["fragment.send"]
            return Bill(packet_ns=call + handover_ns(self.freed, prices) - further, byte_ns=byte, segment_ns=further)
        alone = prices["socket.send.segment"] + handover_ns(self.freed, prices.in_loop)
        return Bill(packet_ns=call + handover_ns(self.freed, prices), byte_ns=byte, segment_ns=alone)


@dataclass(frozen=True, slots=True)
class Acknowledge(Plain):
    """TCP makes and sends an acknowledgement where the data came up, without a program."""

    name: str = "stack.acknowledge"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge what a segment without data costs TCP and IP."""
        return Bill(packet_ns=prices["socket.send.segment"])


@dataclass(frozen=True, slots=True)
class StackReceive(Plain):
    """IP input and the transport protocol, up to the socket's queue, in softirq context.

    ``fragments`` of a datagram are put together here; GRO leaves them alone (Linux net/ipv4/af_inet.c, ip_is_fragment).
    """

    interrupts: Interrupts = "hashed"
    joined: bool = False
    fragments: bool = False
    name: str = "stack.receive"

    @property
    def bursts(self) -> Bursts:
        """Fragments become a datagram again, which goes up once."""
        return Bursts.WHOLE if self.fragments else Bursts.KEEP

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge once per buffer that GRO made, or datagram; between joined sockets none comes."""
        if self.joined and not packet.first and packet.turn in ("message", "bare"):
            return Bill()
        if not self.fragments:
            return Bill(packet_ns=prices[f"stack.receive.{transport(packet)}"] + handover_ns(self.interrupts, prices))
        further = prices["fragment.receive"]
        once = prices[f"stack.receive.{transport(packet)}"] + handover_ns(self.interrupts, prices)
        return Bill(packet_ns=once - further, segment_ns=further)


@dataclass(frozen=True, slots=True)
class SocketReceive(Plain):
    """The receiving thread: it is woken if it waits, returns from its system call and copies the data out.

    A thread in a ``pod`` goes to sleep and wakes up through run queues nested by cgroup, beside the way of the message:
    dequeued at each level after it has answered, enqueued by who wakes it.
    """

    interrupts: Interrupts = "hashed"
    joined: bool = False
    pod: bool = False
    name: str = "socket.receive"

    @property
    def bursts(self) -> Bursts:
        """What is read is one piece again, however it came."""
        return Bursts.WHOLE

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge call and copy; the wake-up delays an idle receiver only, and so does its work.

        Of packets without data programs see two: connect returns with the answer to the SYN, accept with the
        acknowledgement of that.
        """
        waits = packet.turn == "accept" or (packet.first and packet.reply)
        if packet.by_stack and not waits:
            return Bill()
        accepts = packet.turn == "accept"
        call = prices["socket.open.tcp"] if accepts else prices[_call("receive", packet, self.joined)]
        byte = read_ns(self.interrupts, prices)
        sleep = prices["socket.sleep.pod"] if self.pod else 0.0
        return Bill(packet_ns=call, byte_ns=byte, setup_ns=prices["wakeup.latency"], idle_ns=sleep)


@dataclass(frozen=True, slots=True)
class Loopback(Plain):
    """The ``lo`` device of a network namespace: transmit is receive, on the sender's core."""

    name: str = "loopback"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge one trip through the backlog queue."""
        return Bill(packet_ns=prices["loopback.packet"])

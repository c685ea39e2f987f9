"""Which core does a card's work, and what it costs a program to find its data in another core's cache.

A packet that one core received and another one reads moves cache lines between them: of the socket (lock, queue,
sequence numbers, memory accounts) and of the buffer (its head, the shared part). RSS picks any core of the node, so the
figures of ordinary traffic contain that; a second and later buffer of a burst, whose own work is that of a loop, pays
for it openly. Where a flow is steered to its program's core (aRFS) nothing moves. Where the card wakes cores of another
NUMA node the lines cross the processors' link, descriptors and headers among them.

Source of the line prices: Velten et al., Memory Performance of AMD EPYC Rome and Intel Cascade Lake SP (ICPE 2022). Of
the placements: Linux Documentation/networking/scaling.rst.
"""

from __future__ import annotations

from netsim.cluster.objects import Interrupts, Machine
from netsim.datapath.costs import Prices

LINES_OF_A_BUFFER = 6
"""Lines that move with a buffer: the socket's lock with its backlog, its queue with the sequence numbers, its memory
account; the buffer's head (two) and shared part (struct sock, sk_buff and skb_shared_info of Linux 5.x)."""
LINES_OF_A_SEGMENT = 2
"""Lines a driver reads of a segment: completion descriptor and headers."""


def placement(machine: Machine) -> Interrupts:
    """Return where a machine's card does its work; on one core the program is always there."""
    return "steered" if machine.cores == 1 else machine.interrupts


def driver_ns(interrupts: Interrupts, prices: Prices) -> float:
    """Return what a segment costs the driver beyond its usual price, in nanoseconds."""
    return LINES_OF_A_SEGMENT * _farther(prices) if interrupts == "remote" else 0.0


def handover_ns(interrupts: Interrupts, prices: Prices) -> float:
    """Return what it costs to hand one buffer to another core, beyond what its usual price contains, in nanoseconds."""
    if interrupts == "steered":
        return 0.0
    farther = LINES_OF_A_BUFFER * _farther(prices) if interrupts == "remote" else 0.0
    return LINES_OF_A_BUFFER * prices["cache.handover"] + farther


def read_ns(interrupts: Interrupts, prices: Prices) -> float:
    """Return nanoseconds a byte of a receiver's copy.

    Loads of data that another core (or a card that woke one) put elsewhere wait; those from the own core's cache cost
    what a sender's copy does, whose source is always warm and whose stores wait for nobody.
    """
    return prices["socket.send.byte" if interrupts == "steered" else "socket.receive.byte"]


def _farther(prices: Prices) -> float:
    return max(0.0, prices["cache.line_remote"] - prices["cache.line"])

"""Two queries of one socket racing through the Service's address translation.

glibc and musl send the A and the AAAA query from one socket, one right behind the other. Each packet that finds no
conntrack entry makes one and draws a backend; the entry counts for others only once it is confirmed, at the end of the
packet's way through the node. Where two cores work on the pair at the same time both make an entry, and the second is
refused. What becomes of its packet is a matter of the kernel: dropped before 5.0; from 5.0 on kept if both drew the
same backend; kept in any case from 5.7 on. A dropped query costs the resolver's timeout.

Nothing of that happens where queries have sockets of their own (Go), follow each other (``single-request``), or are not
translated by the node: eBPF translates at the socket, the node-local cache's address is not tracked.

How many pairs two cores work on at once is a matter of the scheduler (a thread that moves between its two sends, a
softirq put off to its own thread) and of the plugin, not of the traffic. No count of it is published: reports go from
rare stalls (kubernetes issue 56903) to most look-ups (Machu 2018, "5 - 15s DNS lookups on Kubernetes", with Weave's
fast datapath). So the share is the scenario's to state, and its default assumed.

Sources: lambda.lt "Racy conntrack and DNS lookup timeouts" (2018) for the mechanism; Linux commits 4e35c1cb9460 (5.0)
and 6a757c07e51f (5.7) for what resolves it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

SURVIVES: Mapping[str, Callable[[int], float]] = {
    "dropped": lambda backends: 0.0,
    "same-backend": lambda backends: 1.0 / backends,
    "resolved": lambda backends: 1.0,
}
"""How likely the second query of a racing pair survives, by what the kernel does, for so many backends."""


class Clashes:
    """Draws which pairs race and lose a query.

    Parameters
    ----------
    kernel: a key of `SURVIVES`.
    racing: share of pairs that two cores work on at the same time.
    translated: the node's netfilter translates addresses of Services.
    draw: uniform numbers.
    """

    __slots__ = ("_draw", "_racing", "_survives", "possible")

    def __init__(self, kernel: str, racing: float, draw: Callable[[], float], *, translated: bool) -> None:
        self._survives, self._racing, self._draw = SURVIVES[kernel], racing, draw
        self.possible = translated and racing > 0.0 and kernel != "resolved"
        """Whether any query can be lost; where not, nothing is drawn."""

    def probability(self, backends: int) -> float:
        """Return how likely the second query of a pair is lost."""
        return self._racing * (1.0 - self._survives(backends)) if self.possible else 0.0

    def loses(self, backends: int) -> bool:
        """Draw whether the second query of a pair is lost."""
        return self._draw() < self.probability(backends)

"""UDP request and response: no connection, no repetition; a datagram that finds no room is gone."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import TYPE_CHECKING

from netsim.engine.queueing.burst import Notice
from netsim.engine.queueing.tracing import UDP_TIMEOUT
from netsim.engine.workload.calls import Performer, Steps, Surroundings, Wake

if TYPE_CHECKING:
    from netsim.cluster.traffic import Call
    from netsim.engine.network import Network, Party
    from netsim.engine.transport.ways import Way

TIMEOUT_S = 1.0
"""How long a client waits for the answer to a datagram before it gives the request up."""


class Exchange:
    """One datagram and its answer. ``failed`` tells whether either was lost.

    ``opening`` says that the flow is new, so both packets take the routes of first packets.
    """

    __slots__ = ("_back", "_forth", "_opening", "_sent", "failed", "timeout_s")

    def __init__(self, forth: Way, back: Way, *, opening: bool, timeout_s: float = TIMEOUT_S) -> None:
        self._forth, self._back, self._opening, self.timeout_s = forth, back, opening, timeout_s
        self.failed = False
        self._sent = 0.0

    def ask(self, size: int, arrived: Wake) -> None:
        """Send the request; ``arrived`` is called at the server, or at the client after the timeout."""
        self._sent = self._forth.clock.now
        send = self._forth.open if self._opening else self._forth.send
        send(size, arrived, self._lost(arrived))

    def answer(self, size: int, arrived: Wake) -> None:
        """Send the response; ``arrived`` is called at the client, if need be after the timeout."""
        send = self._back.open if self._opening else self._back.send
        send(size, arrived, self._lost(arrived))

    def _lost(self, wake: Wake) -> Callable[[float], None]:
        def lost(now: float) -> None:
            self.failed = True
            Notice(self._forth.clock, max(now, self._sent + self.timeout_s), wake, UDP_TIMEOUT)

        return lost


class UdpCaller(Performer):
    """Performs one kind of UDP request.

    With kept connections a client sends to each backend from one socket, so only its first datagram opens a flow;
    otherwise every request does.
    """

    def __init__(self, network: Network, call: Call, name: str, around: Surroundings) -> None:
        super().__init__(network, call, name, around)
        self._flows: dict[tuple[Party, Party], tuple[Way, Way]] = {}

    def steps(self, source: Party, wake: Wake, now: float) -> Steps:
        """Ask, wait for the answer."""
        record = self.record
        record.started += 1
        began, resolved, origin = now, nan, self.network.clock.trace
        service, entry = self.service(source), self.around.entry()
        target = self.backend(source, service, entry)
        if target is None:
            return self.fail("refused")
        ways = self._flows.get((source, target)) if self.call.keep_alive else None
        opening = ways is None
        if ways is None:
            if self.resolver is not None:
                now = resolved = yield from self.resolver.resolve(source, wake, now)
                if now < 0.0:
                    return self.fail("dns")
            ways = self.network.datagrams(
                source, target, self.port(target), flow=self.flow(), service=None if service.headless else service,
                service_port=self.call.port.port, entry_node=entry,
            )  # fmt: skip
            if ways is None:
                return self.fail("policy")
            if self.call.keep_alive:
                self._flows[source, target] = ways
        exchange = Exchange(*ways, opening=opening)
        size = self.request_size()
        record.bytes_sent += size
        if self.network.faults is not None:
            self.network.faults.sessions.ask(wake, target, self.network.clock.now)
        exchange.ask(size, wake)
        now = yield
        if not exchange.failed:
            if self._works:
                yield from self.serve(target, wake)
            size = self.response_size()
            exchange.answer(size, wake)
            now = yield
        if exchange.failed:
            return self.fail("lost")
        record.bytes_received += size
        record.done(began, resolved, nan, now, (origin, self.network.clock.trace))
        return now

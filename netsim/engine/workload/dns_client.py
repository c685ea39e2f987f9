"""Name resolution in the simulation: queries over the Service path to a CoreDNS replica, or to a cache on the node.

What servers do with them is `netsim.engine.workload.dns_server`'s part. Lost datagrams are noticed by the resolver's
own timers: then its state machine takes over from the replayed script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Protocol

from netsim.cluster.resolver import Done, Lookup, Query, Send
from netsim.datapath.datapath import HostParty
from netsim.engine.queueing.burst import Burst, Notice, tell
from netsim.engine.queueing.stations import Pool
from netsim.engine.queueing.tracing import DNS_TIMEOUT, UPSTREAM_DNS
from netsim.engine.workload.calls import FAILED
from netsim.engine.workload.dns_server import LOCAL_TTL_S, Dns
from netsim.engine.workload.scripts import Ask, LookupScript

if TYPE_CHECKING:
    from netsim.cluster.traffic import Call
    from netsim.engine.network import Network, Party
    from netsim.engine.transport.ways import Way
    from netsim.engine.workload.calls import Steps, Wake
    from netsim.scenario.spec import DnsSpec


def paired(asks: Sequence[Ask]) -> bool:
    """Tell whether a round opens a socket with two queries at once."""
    return len(asks) > 1 and asks[0].opens and asks[1].cluster and not asks[1].opens


class Waiter(Protocol):
    """Who waits for a query."""

    dns: Dns

    def answered(self, flight: Flight, now: float) -> None:
        """Take the answer."""
        ...

    def missed(self, flight: Flight, now: float) -> None:
        """Learn that query or answer was lost (the engine knows; resolvers only notice when their timer ends)."""
        ...


class Flight:
    """One query under way: to the server, through its workers, maybe upstream, and back."""

    __slots__ = ("_dns", "ask", "query", "replica", "target", "waiter", "ways")

    def __init__(
        self, waiter: Waiter, ask: Ask, target: Party, ways: tuple[Way, Way], query: Query | None = None, *,
        lost: bool = False,
    ) -> None:  # fmt: skip
        self.waiter, self.ask, self.target, self.ways, self.query = waiter, ask, target, ways, query
        dns = self._dns = waiter.dns
        self.replica = dns.replica(target)
        if lost:
            Notice(ways[0].clock, ways[0].clock.now, self._gone)
        else:
            self._send(ways[0], ask.query_bytes, self._received)

    def _send(self, way: Way, size: int, arrived: Callable[[float], None]) -> None:
        dns = self._dns
        dns.sent += 1
        if dns.loses and dns.lost():
            Notice(way.clock, way.clock.now, self._gone)
        elif self.ask.opens:
            way.open(size, arrived, self._dropped)
        else:
            way.send(size, arrived, self._dropped)

    def _received(self, now: float) -> None:
        replica = self.replica
        Burst(self.ways[0].clock, replica.legs, replica.work, 0, self._worked, self._gone)

    def _worked(self, now: float) -> None:
        if self.replica.holds(self.ask, now):
            self.reply(now)
        elif isinstance(self.target, HostParty):
            self._relay()
        elif (wait := self._dns.wait_s(self.ask)) > 0.0:
            Notice(self.ways[0].clock, now + wait, self.known, UPSTREAM_DNS)
        else:
            self.known(now)

    def _relay(self) -> None:
        """Ask the cluster's DNS on behalf of the node's cache, over a connection that is kept."""
        dns = self._dns
        dns.relayed += 1
        central = dns.central(self.target)
        ways = None if central is None else dns.ways(self.target, central)
        if ways is not None:
            Flight(_Relay(self), replace(self.ask, opens=False), central, ways)

    def known(self, now: float) -> None:
        """Remember the answer and send it."""
        self.replica.keep(self.ask, now, LOCAL_TTL_S if isinstance(self.target, HostParty) else inf)
        self.reply(now)

    def reply(self, now: float) -> None:
        """Send the answer."""
        self._send(self.ways[1], self.ask.answer_bytes, self._answered)

    def _answered(self, now: float) -> None:
        self.waiter.answered(self, now)

    def _gone(self, now: float) -> None:
        self.waiter.missed(self, now)

    def _dropped(self, now: float) -> None:
        self._dns.dropped += 1
        self.waiter.missed(self, now)


class _Relay:
    """The node-local cache, waiting for the cluster's DNS on a client's behalf."""

    __slots__ = ("_asked", "dns")

    def __init__(self, asked: Flight) -> None:
        self._asked, self.dns = asked, asked.waiter.dns

    def answered(self, flight: Flight, now: float) -> None:
        self._asked.known(now)

    def missed(self, flight: Flight, now: float) -> None:
        self._asked.waiter.missed(self._asked, now)


class _Session:
    """One lookup under way: replays its script, hands over to the resolver's machine at the first loss."""

    __slots__ = (
        "_answered", "_flights", "_index", "_machine", "_pending", "_sent", "_socket", "_wake", "dns", "done", "script",
        "source",
    )  # fmt: skip

    def __init__(self, dns: Dns, source: Party, script: LookupScript, wake: Wake) -> None:
        self.dns, self.source, self.script, self._wake = dns, source, script, wake
        self.done: Done | None = None
        self._machine: Lookup | None = None
        self._index = self._pending = 0
        self._sent = 0.0
        self._flights: list[Flight] = []
        self._answered: list[Flight] = []
        self._socket: tuple[Party, tuple[Way, Way]] | None = None

    def start(self, index: int, now: float) -> None:
        """Send a round of the script."""
        self._index, self._sent = index, now
        asks = self.script.rounds[index].asks
        self._pending = len(asks)
        self._answered = []
        self._flights = []
        for position, ask in enumerate(asks):
            flight = self._fly(ask, lost=position == 1 and self._races(asks))
            if flight is not None:
                self._flights.append(flight)
        if len(self._flights) < len(asks):
            self._take_over(now)

    def _races(self, asks: Sequence[Ask]) -> bool:
        """Tell whether the second query of a new socket loses a race with the first through the translation."""
        clashes = self.dns.clashes
        if not clashes.possible or self._socket is None or not paired(asks):
            return False
        place, _ = self.dns.network.home(self.source)
        backends = self.dns.backends(None if place is None else place.index)
        return isinstance(self._socket[0], int) and clashes.loses(len(backends))

    def _fly(self, ask: Ask, query: Query | None = None, *, lost: bool = False) -> Flight | None:
        """Send a query, from a socket of its own if it is the first of one; `None` when nobody would answer."""
        if ask.opens or self._socket is None:
            target = self.dns.server(self.source, ask)
            ways = None if target is None else self.dns.ways(self.source, target)
            if target is None or ways is None:
                return None
            self._socket = target, ways
        target, ways = self._socket
        return Flight(self, ask, target, ways, query, lost=lost)

    def answered(self, flight: Flight, now: float) -> None:
        """Take an answer."""
        if self.done is not None:
            return
        if self._machine is not None:
            if flight.query is not None:
                self._machine.answered(flight.query, flight.ask.response)
                self._progress(now)
            return
        self._answered.append(flight)
        self._pending -= 1
        if not self._pending:
            # flights know their session: let go of them, or only the garbage collector could free both
            self._flights = self._answered = []
            tell(self._wake, now)

    def missed(self, flight: Flight, now: float) -> None:
        """Leave the script: the resolver's own timers decide from here."""
        if self._machine is None and self.done is None and flight in self._flights:
            self._take_over(now)

    def _take_over(self, now: float) -> None:
        self._machine, sends = self.script.machine(self._index)
        queries = {(query.name, query.type): query for send in sends for query in send.queries}
        for flight in self._flights:
            flight.query = queries.get(flight.ask.question)
        for send in sends:
            self._time(send, self._sent, now)
        for flight in self._answered:
            if flight.query is not None:
                self._machine.answered(flight.query, flight.ask.response)
        self._progress(now)

    def _time(self, send: Send, sent: float, now: float) -> None:
        """Start the timer of a round."""
        if send.timeout_s is None:
            return
        clock = self.dns.network.clock
        Notice(clock, max(now, sent + send.timeout_s), lambda at: self._timed_out(send.round, at), DNS_TIMEOUT)

    def _timed_out(self, round: int, now: float) -> None:
        if self.done is None and self._machine is not None:
            self._machine.timed_out(round)
            self._progress(now)

    def _progress(self, now: float) -> None:
        """Do what the machine says until it waits or has finished."""
        machine, scripts, config = self._machine, self.dns.scripts, self.script.config
        assert machine is not None
        while (step := machine.next()) is not None:
            if isinstance(step, Done):
                self.done = step
                Notice(self.dns.network.clock, now, self._wake)
                return
            self._time(step, now, now)
            for position, query in enumerate(step.queries):
                response = scripts.answered(config, query, machine.udp_limit_bytes, "")
                if response is not None:
                    self._fly(scripts.ask(config, query, response, opens=position == 0), query)


class NameResolver:
    """Looks a name up for whichever pod asks.

    ``name_for`` gives the name as applications in a pod's namespace write it.
    """

    def __init__(self, dns: Dns, name_for: Callable[[str], str]) -> None:
        self.dns, self._name_for = dns, name_for
        self._scripts: dict[int, LookupScript] = {}
        self.made: Counter[LookupScript] = Counter()
        """How often each script was replayed."""

    def script(self, source: Party) -> LookupScript:
        """Return what the resolver of a pod does while nothing is lost; pods of a template do the same."""
        template = self.dns.network.cluster.pods[source].template
        known = self._scripts.get(id(template))
        if known is None:
            known = self._scripts[id(template)] = self.dns.scripts.script(source, self._name_for(template.namespace))
        return known

    def resolve(self, source: Party, wake: Wake, now: float) -> Steps:
        """Look the name up; the time it took, or `FAILED` when there is no address."""
        script = self.script(source)
        self.made[script] += 1
        session = _Session(self.dns, source, script, wake)
        for index in range(len(script.rounds)):
            session.start(index, now)
            now = yield
            if session.done is not None:
                break
        done = session.done or script.done
        return now if done.result == "ANSWER" else FAILED


class Lookups:
    """Gives every call its resolver. ``spec`` `None`: nobody looks names up."""

    def __init__(self, network: Network, spec: DnsSpec | None) -> None:
        self._cluster, self._spec = network.cluster, spec
        served = network.cluster.dns_service in network.cluster.services_by_key
        self._dns = Dns(network, spec) if spec is not None and served else None

    def stop(self, gone: Callable[[Party], bool]) -> list[Pool]:
        """Empty the caches of DNS servers that stop; return their workers."""
        return [] if self._dns is None else self._dns.stop(gone)

    def of_call(self, call: Call) -> NameResolver | None:
        """Return what asks for the callee's name, `None` where connections are made without look-ups."""
        spec = self._spec
        if self._dns is None or spec is None or spec.lookups == "none":
            return None
        return NameResolver(self._dns, partial(_callee, call, spec.fqdn, self._cluster.cluster_domain))

    def of_name(self, name: str) -> NameResolver | None:
        """Return what asks for a name, `None` when the cluster has no DNS."""
        return None if self._dns is None else NameResolver(self._dns, lambda namespace: name)


def _callee(call: Call, fqdn: bool, domain: str, namespace: str) -> str:
    """Return the name of a call's Service: as short as the caller's namespace allows, or complete with a final dot."""
    service = call.service_for(namespace)
    if fqdn:
        return f"{service.name}.{service.namespace}.svc.{domain}."
    return service.name if service.namespace == namespace else f"{service.name}.{service.namespace}"

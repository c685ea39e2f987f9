"""What every kind of caller shares: who answers, how large, how long the server works, what the server calls in turn.

A transaction is a generator. It first receives its own ``send`` (as ``wake``), hands it to whatever it waits for, and
is resumed with the time. That is SimPy's style of writing logic without an event object and a scheduling round for
every wait; it makes a transaction of a dozen bursts cost little more than its bursts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from netsim.cluster.endpoints import resolve_port
from netsim.engine.measuring.probes import EdgeRecord
from netsim.engine.queueing.burst import Burst, Notice, deliver, tell
from netsim.engine.queueing.stations import CoreCharge
from netsim.engine.queueing.tracing import CALL, RETURN, SERVER, mark
from netsim.engine.randomness.draws import durations, sizes

if TYPE_CHECKING:
    from netsim.cluster.objects import Service
    from netsim.cluster.traffic import Call
    from netsim.engine.network import Network, Party

Wake = Callable[[float], object]
Steps = Generator[None, float, float]
"""A part of a transaction: yields where it waits, is sent the time, returns the time it ended (`FAILED`: it failed)."""
Task = Generator[None, Any, None]
"""A generator whose first ``yield`` receives its own ``send``."""
FAILED = -1.0
_FLOWS = float(1 << 52)


def begin(task: Task) -> None:
    """Start a task: run it up to its first wait."""
    next(task)
    tell(task.send, task.send)


class Resolver(Protocol):
    """What callers need of name resolution."""

    def resolve(self, source: Party, wake: Wake, now: float) -> Steps:
        """Look the callee's name up for a client."""
        ...


class Client(Protocol):
    """Somebody who performs transactions on behalf of parties and records them."""

    network: Network
    name: str

    def exchange(self, source: Party, wake: Wake, now: float) -> Steps:
        """Do one transaction for a party."""
        ...

    def records(self) -> list[tuple[EdgeRecord, str, bool]]:
        """Return the records, each with its Service and whether it is top-level."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a caller needs besides the network.

    ``resolvers`` gives the resolver of a call, `None` for no look-ups; ``looks_up`` is False for clients outside, who
    know the address; ``entry`` draws the node at which such a client enters, `None` for clients inside; ``pool`` is how
    many connections a client keeps.
    """

    resolvers: Callable[[Call], Resolver | None] = lambda call: None
    looks_up: bool = True
    entry: Callable[[], int | None] = lambda: None
    pool: int = 8


class Performer(ABC):
    """Performs one kind of call, for whichever party makes it.

    Parameters
    ----------
    network: carries it.
    call: what is asked of whom.
    name: role of the call, stable under renaming of anything else; its streams are named by it.
    around: resolver, entry, pool.
    children: performers of the calls a server makes before it answers.
    """

    def __init__(
        self, network: Network, call: Call, name: str, around: Surroundings, children: Sequence[Performer] = ()
    ) -> None:
        streams = network.streams
        self.network, self.call, self.name, self.around = network, call, name, around
        self.children = tuple(children)
        self.record = EdgeRecord(name)
        self.resolver = around.resolvers(call) if around.looks_up else None
        self.request_size = sizes(streams, f"{name}/request", call.request)
        self.response_size = sizes(streams, f"{name}/response", call.response)
        self._work = durations(streams, f"{name}/work", call.work)
        self._works = call.work.mean > 0.0 or bool(call.then)
        self._choice = streams.uniform(f"{name}/backend")
        self._flow = streams.uniform(f"{name}/flow")
        self._chance = streams.uniform(f"{name}/chance")
        self._ports: dict[Party, int] = {}

    def exchange(self, source: Party, wake: Wake, now: float) -> Steps:
        """Do the whole call for a client and record it."""
        faults = self.network.faults
        if faults is None:
            return self.steps(source, wake, now)
        return faults.sessions.exchange(self, self.steps, source, wake, now)

    @abstractmethod
    def steps(self, source: Party, wake: Wake, now: float) -> Steps:
        """Return the steps of the whole call for a client, its recording included."""

    def broken(self, source: Party, reason: str) -> float:
        """Count a transaction that a fault broke."""
        return self.fail(reason)

    def records(self, top: bool = True) -> list[tuple[EdgeRecord, str, bool]]:
        """Return the records of this call and of those it causes, each with its Service and whether it is top-level."""
        own = [(self.record, self.call.service.key, top)]
        return own + [each for child in self.children for each in child.records(top=False)]

    # ------------------------------------------------------------------------------------------ whom to call

    def service(self, source: Party) -> Service:
        """Return the Service a client means by the name."""
        if self.call.instances and isinstance(source, int):
            return self.call.service_for(self.network.cluster.pods[source].namespace)
        return self.call.service

    def backend(self, source: Party, service: Service, entry: int | None) -> Party | None:
        """Draw who answers a new connection; `None` when nobody does (the connection is refused)."""
        place, _ = self.network.home(source)
        node = entry if entry is not None else None if place is None else place.index
        backends = self.network.seen(service, self.call.port.name, node, external=entry is not None)
        return backends[int(self._choice() * len(backends))] if backends else None

    def port(self, target: Party) -> int:
        """Return the port the backend listens at."""
        known = self._ports.get(target)
        if known is None:
            wanted = self.call.port
            known = wanted.port
            if isinstance(target, int):
                known = resolve_port(wanted, self.network.cluster.pods[target]) or wanted.port
            self._ports[target] = known
        return known

    def flow(self) -> int:
        """Draw the header hash of a new flow."""
        return int(self._flow() * _FLOWS)

    # ------------------------------------------------------------------------------------------ the server's part

    def serve(self, server: Party, wake: Wake) -> Steps:
        """Work on the server's core, then make the calls the answer needs."""
        network = self.network
        now = network.clock.now
        work = self._work()
        if work > 0.0:
            thread = network.thread(server)
            if thread is not None:
                Burst(network.clock, (thread, deliver), (tuple(CoreCharge(work)), SERVER), 0, wake)
                now = yield
        for group in self._groups():
            now = yield from self._call(group, server, wake, now)
        return now

    def _groups(self) -> list[list[Performer]]:
        """Return the calls of a server, those that start together in one group."""
        groups: list[list[Performer]] = []
        for child in self.children:
            if child.call.parallel and groups:
                groups[-1].append(child)
            else:
                groups.append([child])
        return groups

    def _call(self, group: Sequence[Performer], server: Party, wake: Wake, now: float) -> Steps:
        """Make calls that start together; go on when all have ended."""
        clock = self.network.clock
        wanted = [
            child for child in group for _ in range(child.call.count)
            if child.call.probability >= 1.0 or child._chance() < child.call.probability
        ]  # fmt: skip
        if len(group) == 1:
            for child in wanted:
                mark(clock, CALL)
                yield from child.exchange(server, wake, clock.now)
                mark(clock, RETURN)
            return float(clock.now)
        left = len(wanted)

        def one(child: Performer) -> Task:
            nonlocal left
            own: Wake = yield
            mark(clock, CALL)
            yield from child.exchange(server, own, now)
            mark(clock, RETURN)
            left -= 1
            if not left:
                Notice(clock, clock.now, wake)

        trace = clock.trace
        for child in wanted:
            clock.trace = trace
            begin(one(child))
        if wanted:
            now = yield
        return now

    def fail(self, reason: str) -> float:
        """Count a failure; returns what `exchange` returns then."""
        self.record.fail(reason)
        return FAILED

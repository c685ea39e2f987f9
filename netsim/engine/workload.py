"""What applications do: transactions as generators, one resume a thing waited for.

A generator first receives its own ``send`` (as ``wake``), hands it to whatever it waits for, and is resumed with the
time. That is SimPy's style of writing logic without an event object and a scheduling round for every wait; it makes a
transaction of a dozen bursts cost little more than its bursts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from math import nan
from typing import TYPE_CHECKING, Any

from netsim.engine.burst import Burst, Notice, deliver, tell
from netsim.engine.clock import Light
from netsim.engine.draws import durations, sizes
from netsim.engine.probes import EdgeRecord
from netsim.engine.stations import CoreCharge
from netsim.engine.tcp import Connection

if TYPE_CHECKING:
    from netsim.cluster.traffic import Call, Edge
    from netsim.engine.network import Network, Party

Wake = Callable[[float], object]
Steps = Generator[None, float, float]
"""A part of a transaction: yields where it waits, is sent the time, returns the time it ended (negative: failed)."""
FAILED = -1.0


class Resolver:
    """What callers need of name resolution; `netsim.engine.dns_client` has the real one."""

    def resolve(self, pod: int, wake: Wake, now: float) -> Steps:
        """Look a name up for a pod."""
        raise NotImplementedError


Task = Generator[None, Any, None]
"""A generator whose first ``yield`` receives its own ``send``."""


def begin(task: Task) -> None:
    """Start a task: run it up to its first wait."""
    next(task)
    tell(task.send, task.send)


class _Pool:
    """The kept connections of one client pod to one Service."""

    __slots__ = ("free", "opened", "waiting")

    def __init__(self) -> None:
        self.free: list[tuple[Connection, Party]] = []
        self.opened = 0
        self.waiting: deque[Wake] = deque()


class Caller:
    """Performs one kind of call, for whichever pod makes it.

    Parameters
    ----------
    network: carries it.
    call: what is asked of whom.
    name: role of the call, stable under renaming of anything else; streams are named by it.
    pool: connections a client keeps, with keep-alive.
    resolver: looks names up for new connections, `None` for no look-ups.
    """

    def __init__(
        self, network: Network, call: Call, name: str, *, pool: int = 8, resolvers: Callable[[Call], Resolver | None],
        entries: Callable[[], int | None] = lambda: None,
    ) -> None:  # fmt: skip
        streams = network.streams
        self.network, self.call, self.name = network, call, name
        self.record = EdgeRecord(name)
        self._resolver = resolvers(call)
        self._request = sizes(streams, f"{name}/request", call.request)
        self._response = sizes(streams, f"{name}/response", call.response)
        self._work = durations(streams, f"{name}/work", call.work)
        self._choice = streams.uniform(f"{name}/backend")
        self._flow = streams.uniform(f"{name}/flow")
        self._chance = streams.uniform(f"{name}/chance")
        self._entries = entries
        self._pool_size = pool
        self._pools: dict[Party, _Pool] = {}
        self._children = tuple(
            Caller(network, child, f"{name}/{index}:{child.service.name}", resolvers=resolvers)
            for index, child in enumerate(call.then)
        )

    def records(self) -> list[EdgeRecord]:
        """Return the records of this call and of the calls it causes."""
        return [self.record, *(record for child in self._children for record in child.records())]

    # ------------------------------------------------------------------------------------------ one transaction

    def exchange(self, source: Party, wake: Wake, now: float) -> Steps:
        """Resolve, connect, ask, wait for the answer."""
        record = self.record
        record.started += 1
        began, resolved, connected = now, nan, nan
        pool = self._borrow(source) if self.call.keep_alive else None
        if pool is not None and not pool.free and pool.opened >= self._pool_size:
            pool.waiting.append(wake)
            now = yield
        if pool is not None and pool.free:
            connection, target = pool.free.pop()
        else:
            if self._resolver is not None:
                now = resolved = yield from self._resolver.resolve(source, wake, now)
                if now < 0.0:
                    return self._fail("dns", pool)
            made = self._dial(source)
            if isinstance(made, str):
                return self._fail(made, pool)
            connection, target = made
            if pool is not None:
                pool.opened += 1
            connection.connect(wake)
            now = connected = yield
            if connection.failed:
                if pool is not None:
                    pool.opened -= 1
                return self._fail("connect", pool)
        size = self._request()
        record.bytes_sent += size
        connection.request(size, wake)
        yield
        if pool is None:
            connection.acknowledge_request()
        now = yield from self._serve(target, wake)
        size = self._response()
        record.bytes_received += size
        connection.respond(size, wake)
        now = yield
        record.done(began, resolved, connected, now)
        if pool is None:
            connection.acknowledge_response()
            connection.close()
        else:
            pool.free.append((connection, target))
            self._next_in_line(pool, now)
        return now

    def _borrow(self, source: Party) -> _Pool:
        pool = self._pools.get(source)
        if pool is None:
            pool = self._pools[source] = _Pool()
        return pool

    def _next_in_line(self, pool: _Pool, now: float) -> None:
        if pool.waiting:
            Notice(self.network.clock, now, pool.waiting.popleft())

    def _fail(self, reason: str, pool: _Pool | None) -> float:
        self.record.fail(reason)
        if pool is not None:
            self._next_in_line(pool, self.network.clock.now)
        return FAILED

    def _dial(self, source: Party) -> tuple[Connection, Party] | str:
        """Choose a backend and make a connection to it; a text says why there is none."""
        network, call = self.network, self.call
        entry = self._entries()
        place, _ = network.home(source)
        node = entry if entry is not None else None if place is None else place.index
        backends = network.backends.of(call.service, call.port.name, node, external=entry is not None)
        if not backends:
            return "refused"
        target = backends[int(self._choice() * len(backends))]
        flow = int(self._flow() * 4503599627370496.0)
        addressed = None if call.service.headless else call.service
        made = network.connection(source, target, call.port, flow=flow, service=addressed, entry_node=entry)
        if isinstance(made, Connection):
            return made, target
        return "policy"

    def _serve(self, server: Party, wake: Wake) -> Steps:
        """Work on the server's core, then make the calls the answer needs."""
        network = self.network
        now = network.clock.now
        work = self._work()
        if work > 0.0:
            place, core = network.home(server)
            if place is not None:
                Burst(network.clock, (place.threads[core], deliver), (CoreCharge(work), None), 0, wake)
                now = yield
        index = 0
        while index < len(self._children):
            group = [self._children[index]]
            index += 1
            while index < len(self._children) and self._children[index].call.parallel:
                group.append(self._children[index])
                index += 1
            now = yield from self._call(group, server, wake, now)
        return now

    def _call(self, group: Sequence[Caller], server: Party, wake: Wake, now: float) -> Steps:
        """Make calls that start together; go on when all are answered."""
        wanted = [
            child for child in group for _ in range(child.call.count)
            if child.call.probability >= 1.0 or child._chance() < child.call.probability
        ]  # fmt: skip
        if len(group) == 1:
            for child in wanted:
                ended = yield from child.exchange(server, wake, now)
                now = ended if ended >= 0.0 else self.network.clock.now
            return now
        if not wanted:
            return now
        left = len(wanted)

        def one(child: Caller) -> Task:
            nonlocal left
            own: Wake = yield
            yield from child.exchange(server, own, now)
            left -= 1
            if not left:
                Notice(self.network.clock, self.network.clock.now, wake)

        for child in wanted:
            begin(one(child))
        return (yield)


# ------------------------------------------------------------------------------------------------ who starts transactions


class OpenArrivals(Light):
    """Independent Poisson clients of one edge, merged: their sum is Poisson and each arrival is any client's alike.

    ``perform`` starts one transaction of a client.
    """

    __slots__ = ("_choose", "_clients", "_gap", "_perform", "until")

    def __init__(
        self, network: Network, name: str, clients: Sequence[Party], *, rate_per_s: float,
        perform: Callable[[Party, float], None], until: float,
    ) -> None:  # fmt: skip
        clock, streams = network.clock, network.streams
        self.serial = clock.birth()
        self._clients, self._perform, self.until = clients, perform, until
        self._gap = streams.exponential(f"{name}/arrivals", 1.0 / (rate_per_s * len(clients)))
        self._choose = streams.uniform(f"{name}/client")
        clock.at(clock.now + self._gap(), self)

    def advance(self, now: float) -> float | None:
        """Start a transaction."""
        if now >= self.until:
            return None
        clients = self._clients
        self._perform(clients[int(self._choose() * len(clients))], now)
        return now + self._gap()


def launch(caller: Caller) -> Callable[[Party, float], None]:
    """Return a function that starts one transaction of ``caller`` for a client."""

    def transaction(client: Party, now: float) -> Task:
        wake: Wake = yield
        yield from caller.exchange(client, wake, now)

    def perform(client: Party, now: float) -> None:
        begin(transaction(client, now))

    return perform


def closed_loop(caller: Caller, client: Party, think: Callable[[], float], until: float) -> None:
    """Let a client ask, wait for the answer, think, and ask again."""
    clock = caller.network.clock

    def loop() -> Task:
        wake: Wake = yield
        now = clock.now
        while now < until:
            Notice(clock, now + think(), wake)
            now = yield
            ended = yield from caller.exchange(client, wake, now)
            if ended < 0.0:
                # a refused client would otherwise ask again at the same instant for ever
                Notice(clock, clock.now + 1e-3, wake)
                yield
            now = clock.now

    begin(loop())


def open_edge(caller: Caller, edge: Edge, clients: Sequence[Party], until: float) -> None:
    """Start the clients of an edge: open arrivals, or closed loops."""
    network = caller.network
    if edge.closed is None:
        OpenArrivals(
            network, caller.name, clients, rate_per_s=edge.rate_per_s, perform=launch(caller), until=until
        )
        return
    think = durations(network.streams, f"{caller.name}/think", edge.closed.think)
    for client in clients:
        for _ in range(edge.closed.concurrency):
            closed_loop(caller, client, think, until)

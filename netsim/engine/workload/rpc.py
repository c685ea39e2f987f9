"""Request and response over TCP: a connection per request, or a pool of kept ones."""

from __future__ import annotations

from collections import deque
from math import nan
from typing import TYPE_CHECKING

from netsim.engine.queueing.burst import Notice
from netsim.engine.queueing.tracing import CONNECTION_POOL, waited
from netsim.engine.transport.sessions import CLIENT_LOST
from netsim.engine.transport.tcp import Connection, Reads
from netsim.engine.workload.calls import Performer, Steps, Surroundings, Wake

if TYPE_CHECKING:
    from netsim.cluster.traffic import Call
    from netsim.engine.network import Network, Party


class _Pool:
    """The kept connections of one client to one Service."""

    __slots__ = ("free", "opened", "waiting")

    def __init__(self) -> None:
        self.free: list[tuple[Connection, Party]] = []
        self.opened = 0
        self.waiting: deque[Wake] = deque()


class RpcCaller(Performer):
    """Performs one kind of request over TCP: resolve, connect, ask, wait for the answer, close."""

    def __init__(self, network: Network, call: Call, name: str, around: Surroundings) -> None:
        children = tuple(
            RpcCaller(network, child, f"{name}/{index}:{child.service.name}", Surroundings(around.resolvers))
            for index, child in enumerate(call.then)
        )
        super().__init__(network, call, name, around, children)
        self._pools: dict[Party, _Pool] = {}
        self._reads = Reads(call.request_reads_bps, call.response_reads_bps)

    def steps(self, source: Party, wake: Wake, now: float) -> Steps:
        """Return the steps of the whole call for a client, its recording included."""
        if self.call.keep_alive:
            return self._kept(source, wake, now)
        return self._single(source, wake, now)

    def broken(self, source: Party, reason: str) -> float:
        """Count a transaction that a fault broke; its connection leaves the pool, a lost client loses all of it."""
        if not self.call.keep_alive:
            return self.fail(reason)
        if reason == CLIENT_LOST:
            self._pools.pop(source, None)
            return self.fail(reason)
        return self._give_up(self._pools[source], reason)

    def _single(self, source: Party, wake: Wake, now: float) -> Steps:
        """Open a connection for one request."""
        record = self.record
        record.started += 1
        clock = self.network.clock
        began, resolved, origin = now, nan, clock.trace
        if self.resolver is not None:
            now = resolved = yield from self.resolver.resolve(source, wake, now)
            if now < 0.0:
                return self.fail("dns")
        made = self._dial(source, brief=True)
        if isinstance(made, str):
            return self.fail(made)
        connection, target = made
        connection.connect(wake)
        connected = yield
        if connection.failed:
            return self.fail("connect")
        size = self.request_size()
        record.bytes_sent += size
        connection.request(size, wake)
        yield
        connection.acknowledge_request()
        if self._works:
            yield from self.serve(target, wake)
        size = self.response_size()
        record.bytes_received += size
        connection.respond(size, wake)
        now = yield
        record.done(began, resolved, connected, now, (origin, clock.trace))
        trace, clock.trace = clock.trace, None  # nobody waits for what follows
        connection.acknowledge_response()
        connection.close()
        clock.trace = trace
        return now

    def _kept(self, source: Party, wake: Wake, now: float) -> Steps:
        """Use a connection of the client's pool, opening one while the pool is not full."""
        record = self.record
        record.started += 1
        clock = self.network.clock
        began, resolved, connected, origin = now, nan, nan, clock.trace
        pool = self._pools.get(source)
        if pool is None:
            pool = self._pools[source] = _Pool()
        while pool.free and pool.free[-1][0].failed:
            pool.free.pop()
            pool.opened -= 1
        if not pool.free and pool.opened >= self.around.pool:
            pool.waiting.append(wake)
            yield
            waited(clock, origin, CONNECTION_POOL, began)
        if pool.free:
            connection, target = pool.free.pop()
        else:
            pool.opened += 1
            if self.resolver is not None:
                now = resolved = yield from self.resolver.resolve(source, wake, now)
                if now < 0.0:
                    return self._give_up(pool, "dns")
            made = self._dial(source)
            if isinstance(made, str):
                return self._give_up(pool, made)
            connection, target = made
            connection.connect(wake)
            connected = yield
            if connection.failed:
                return self._give_up(pool, "connect")
        size = self.request_size()
        record.bytes_sent += size
        connection.request(size, wake)
        yield
        if self._works:
            yield from self.serve(target, wake)
        size = self.response_size()
        record.bytes_received += size
        connection.respond(size, wake)
        now = yield
        record.done(began, resolved, connected, now, (origin, clock.trace))
        pool.free.append((connection, target))
        self._next_in_line(pool, now)
        return now

    def _give_up(self, pool: _Pool, reason: str) -> float:
        pool.opened -= 1
        self._next_in_line(pool, self.network.clock.now)
        return self.fail(reason)

    def _next_in_line(self, pool: _Pool, now: float) -> None:
        if pool.waiting:
            Notice(self.network.clock, now, pool.waiting.popleft())

    def _dial(self, source: Party, *, brief: bool = False) -> tuple[Connection, Party] | str:
        """Choose a backend and make a connection to it; a text says why there is none.

        A ``brief`` connection is closed after one request, and its port is not free for long.
        """
        service, entry = self.service(source), self.around.entry()
        target = self.backend(source, service, entry)
        if target is None:
            return "refused"
        network = self.network
        ports = network.ports if brief else None
        if ports is not None and not ports.connect(self, source, target, network.clock.now):
            return "ports"
        made = network.connection(
            source, target, self.port(target), flow=self.flow(), service=None if service.headless else service,
            service_port=self.call.port.port, entry_node=entry,
        )  # fmt: skip
        if not isinstance(made, Connection):
            return "policy"
        made.reads, made.stalls = self._reads, self.record.stalls
        return made, target

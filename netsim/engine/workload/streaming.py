"""Bulk streams: connections that send without end; what counts is how much gets through."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from netsim.engine.transport.backpressure import Calls
from netsim.engine.transport.sessions import RESET
from netsim.engine.workload.rpc import RpcCaller

if TYPE_CHECKING:
    from netsim.cluster.traffic import Call
    from netsim.engine.network import Network, Party
    from netsim.engine.transport.half import Half
    from netsim.engine.transport.tcp import Connection
    from netsim.engine.workload.calls import Surroundings, Task, Wake


class Streamer(RpcCaller):
    """Opens streams and keeps them sending until the run ends.

    ``open`` lists the streams under way: connection, when it was begun, when it was connected. Applications hand over
    ``writes`` bytes a send call, `None`: whole buffers.
    """

    def __init__(
        self, network: Network, call: Call, name: str, around: Surroundings, writes: int | None = None
    ) -> None:
        super().__init__(network, call, name, around)
        self._writes = writes
        self.open: list[tuple[Connection, float, float]] = []

    def stream(self, source: Party) -> Task:
        """Open one stream of a client, as a task."""
        wake: Wake = yield
        record = self.record
        record.started += 1
        made = self._dial(source)
        if isinstance(made, str):
            self.fail(made)
            return
        connection, _ = made
        began = self.network.clock.now
        connection.connect(wake)
        now = yield
        if connection.failed:
            self.fail("connect")
            return
        connection.outgoing.stream(self._calls(source))
        self.open.append((connection, began, now))

    def _calls(self, source: Party) -> Calls | None:
        """Return how a client hands its data over: what small calls cost beyond that which begins a buffer."""
        if self._writes is None:
            return None
        node = self.network.node_of(source)
        name = "" if node is None else self.network.cluster.nodes[node].name
        return Calls(self._writes, self.network.datapath.prices_on(name)["socket.append"] * 1e-9)

    def finish(self, now: float) -> None:
        """End the streams and book what they delivered: one sample a stream, whose request lasted as long as it did."""
        for connection, began, connected in self.open:
            connection.outgoing.stop()
            self.record.bytes_sent += connection.outgoing.delivered
            self.record.delivered.append(connection.outgoing.delivered)
            if connection.failed:
                self.fail(RESET)
            else:
                self.record.done(began, nan, connected, now)

    def halves(self) -> list[Half]:
        """Return the sending sides, for their windows and retransmissions."""
        return [connection.outgoing for connection, _, _ in self.open]

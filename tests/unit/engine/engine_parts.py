"""Hand-made connections for engine tests: two cores a side, one link a direction, everything else zero."""

from __future__ import annotations

from dataclasses import dataclass, field

from netsim.datapath.types import Pass, Role, Route
from netsim.engine.pricing import Limits, Tariff
from netsim.engine.queueing.burst import deliver
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.stations import Core, Link
from netsim.engine.transport.tcp import Connection, TcpSettings
from netsim.engine.transport.ways import Way

MSS = 1000


def route(
    *, rate_bps: float = 8e9, latency_s: float = 50e-6, cpu_s: float = 1e-6, burst: int = 60_000,
    black_hole: bool = False,
) -> Route:  # fmt: skip
    """Sender's core, one link (8 bits a payload byte, no headers), softirq and thread of the receiver."""
    byte_s = 8.0 / rate_bps
    passes = (
        Pass(Role.SENDER_CORE, cpu_s),
        Pass(Role.RECEIVER_LINK, 60 * byte_s, byte_s, latency_s=latency_s, packet_s=MSS * byte_s, pipelined=True),
        Pass(Role.SOFTIRQ_CORE, cpu_s),
        Pass(Role.RECEIVER_CORE, cpu_s),
    )
    return Route(passes, MSS, burst, black_hole=black_hole)


@dataclass
class Pair:
    """Two hosts with one link between them in each direction, shared by any number of connections."""

    route: Route = field(default_factory=route)
    buffer_bytes: float = 1e9
    settings: TcpSettings = field(default_factory=TcpSettings)
    limits: Limits | None = None

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.links = Link("there"), Link("back")
        self.servers: list[Core] = []
        limits = self.limits or Limits(ring=1e9, buffer_bytes=self.buffer_bytes)
        self.tariff = Tariff(self.route, limits)

    def ways(self) -> tuple[Way, Way]:
        """Return both ways of a new connection between cores of its own."""
        client, server = Core("client"), Core("server")
        softirqs = Core("client softirq"), Core("server softirq")
        self.servers.append(server)
        forth: list[object] = [None] * (len(Role) + 2)
        back: list[object] = [None] * (len(Role) + 2)
        for legs, ends, link, softirq in (
            (forth, (client, server), self.links[0], softirqs[1]),
            (back, (server, client), self.links[1], softirqs[0]),
        ):
            legs[Role.SENDER_CORE], legs[Role.RECEIVER_CORE] = ends[0].thread, ends[1].thread
            legs[Role.RECEIVER_LINK], legs[Role.SOFTIRQ_CORE], legs[-1] = link.carry, softirq.softirq, deliver
        clock = self.clock
        return Way(clock, forth, self.tariff, self.tariff), Way(clock, back, self.tariff, self.tariff)

    def connect(self) -> Connection:
        """Return a new connection that is not opened yet."""
        return Connection(*self.ways(), self.settings)

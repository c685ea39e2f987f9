"""Builds a topology out of namespaces, veth pairs, bridges, VXLAN devices, routes and tables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from netsim.calibration.kernel import redirect
from netsim.calibration.kernel.namespaces import CommandError, Host, Sandbox
from netsim.calibration.kernel.tables import load_policy, load_services
from netsim.calibration.kernel.topologies import Box, Kind, Topology

MTU_BYTES, VXLAN_BYTES, VXLAN_PORT = 1500, 50, 8472
LEFT, RIGHT, GATEWAY = "left", "right", "cbr0"


@dataclass(frozen=True, slots=True)
class _Tunnel:
    """A VXLAN device: ``side`` of the box it leaves by, the segment's number and which end of it this is (1 or 2)."""

    side: str
    segment: int
    end: int

    @property
    def name(self) -> str:
        return f"vx-{self.side}"

    @property
    def far_end(self) -> int:
        return 3 - self.end

    def mac(self, end: int) -> str:
        return f"02:00:00:00:{self.segment:02x}:{end:02x}"

    def underlay(self, end: int) -> str:
        return f"172.16.{self.segment}.{end}"


@dataclass(frozen=True, slots=True)
class _Station:
    """An IP hop or a pod: its namespace and the segments (subnets) it lies between."""

    handle: int
    kind: Kind | None
    left: int | None
    right: int | None
    tunnel_left: bool = False
    tunnel_right: bool = False

    def tunnels(self) -> Iterator[_Tunnel]:
        if self.tunnel_left and self.left is not None:
            yield _Tunnel(LEFT, self.left, 2)
        if self.tunnel_right and self.right is not None:
            yield _Tunnel(RIGHT, self.right, 1)

    def addresses(self) -> Iterator[tuple[str, str]]:
        """Yield device and address of either side."""
        if self.left is not None:
            device = GATEWAY if self.kind is Kind.NODE else "vx-left" if self.tunnel_left else LEFT
            yield device, f"10.50.{self.left}.2/24"
        if self.right is not None:
            device = GATEWAY if self.kind is Kind.NODE_RIGHT else "vx-right" if self.tunnel_right else RIGHT
            yield device, f"10.50.{self.right}.1/24"


@dataclass
class Built:
    """A topology that stands: its namespaces in order, the pods' addresses, and how to take it down."""

    topology: Topology
    handles: list[int]
    client: str
    server: str
    programs: list[int] = field(default_factory=list)

    def release(self, host: Sandbox) -> None:
        """Let programs and namespaces go."""
        for program in self.programs:
            os.close(program)
        host.release(self.handles)

    @property
    def tables(self) -> bool:
        """Whether there are tables to load."""
        return any(box.services is not None or box.policy is not None for box in self.topology.boxes)

    @property
    def tracking(self) -> list[int]:
        """Namespaces in which connections are tracked."""
        return [handle for handle, box in zip(self.handles[1:-1], self.topology.boxes, strict=True) if box.tracks]


def build(host: Sandbox, topology: Topology) -> Built:
    """Build a topology. Raises `CommandError` with what the machine lacks; what was begun is let go."""
    handles = [host.namespace() for _ in range(len(topology.boxes) + 2)]
    stations = _stations(topology, handles)
    segments = len(stations) - 1
    built = Built(topology, handles, "10.50.0.1", f"10.50.{segments - 1}.2")
    try:
        lay(host, topology, handles, stations)
        for handle, box in zip(handles[1:-1], topology.boxes, strict=True):
            if helper := {Kind.REDIRECT: redirect.REDIRECT, Kind.REDIRECT_PEER: redirect.REDIRECT_PEER}.get(box.kind):
                with host.inside(handle):
                    built.programs += redirect.attach(LEFT, RIGHT, helper)
                    built.programs += redirect.attach(RIGHT, LEFT, helper)
        load(host, built)
    except CommandError:
        built.release(host)
        raise
    return built


def lay(host: Host, topology: Topology, handles: Sequence[int], stations: Sequence[_Station]) -> None:
    """Run the commands that make devices, addresses and routes, one batch a namespace."""
    tunnelled = MTU_BYTES - VXLAN_BYTES if topology.tunnels else MTU_BYTES
    for handle in handles:
        for scope in ("all", "default"):
            host.setting(handle, f"ipv6/conf/{scope}/disable_ipv6", 1)
    for link in range(len(handles) - 1):
        mtu = MTU_BYTES if link in topology.tunnels else tunnelled
        far = host.reference(handles[link + 1])
        pair = f"link add {RIGHT} mtu {mtu} type veth peer name {LEFT} mtu {mtu} netns {far}\n"
        host.run(handles[link], ["ip", "-batch", "-"], f"{pair}link set {RIGHT} up\n")
        # both ends are up before a bridge takes one: otherwise the port waits a second for its carrier to be noticed
        host.run(handles[link + 1], ["ip", "link", "set", LEFT, "up"])
    by_handle = {station.handle: station for station in stations}
    kinds: list[Box | None] = [None, *topology.boxes, None]
    for handle, box in zip(handles, kinds, strict=True):
        commands = ["link set lo up", *_bridge(box, tunnelled)]
        if station := by_handle.get(handle):
            commands += _ip(station, len(stations) - 1, tunnelled)
        host.run(handle, ["ip", "-batch", "-"], "\n".join(commands) + "\n")
        if station:
            forwarding = [
                f"fdb append {end.mac(end.far_end)} dev {end.name} dst {end.underlay(end.far_end)} self permanent"
                for end in station.tunnels()
            ]
            if forwarding:
                host.run(handle, ["bridge", "-batch", "-"], "\n".join(forwarding) + "\n")
        if box is not None:
            _settings(host, handle, box)


def load(host: Host, built: Built) -> None:
    """Load every table, anew if it is there: in other memory, which is a build of its own."""
    for handle, box in zip(built.handles[1:-1], built.topology.boxes, strict=True):
        if box.services is not None:
            load_services(host, handle, box.services, built.server)
        if box.policy is not None:
            load_policy(host, handle, box.policy)


def _settings(host: Host, handle: int, box: Box) -> None:
    if box.kind.forwards:
        host.setting(handle, "ipv4/ip_forward", 1)
    if box.bridge_netfilter:
        host.setting(handle, "bridge/bridge-nf-call-iptables", 1)
    elif box.kind is Kind.SWITCH or box.kind.gateway:
        with suppress(CommandError):  # without br_netfilter there is nothing to turn off
            host.setting(handle, "bridge/bridge-nf-call-iptables", 0)


def _stations(topology: Topology, handles: Sequence[int]) -> list[_Station]:
    """Return pods and IP hops with their segments; a tunnel's two ends are neighbours by construction."""
    hops: list[tuple[int, Kind | None, bool, bool]] = [(handles[0], None, False, False)]
    hops += [
        (handles[index + 1], box.kind, index in topology.tunnels, index + 1 in topology.tunnels)
        for index, box in enumerate(topology.boxes)
        if box.kind.forwards
    ]
    hops.append((handles[-1], None, False, False))
    last = len(hops) - 1
    return [
        _Station(handle, kind, at - 1 if at else None, at if at < last else None, left, right)
        for at, (handle, kind, left, right) in enumerate(hops)
    ]


def _bridge(box: Box | None, mtu: int) -> list[str]:
    ports = {Kind.SWITCH: (LEFT, RIGHT), Kind.NODE: (LEFT,), Kind.NODE_RIGHT: (RIGHT,)}
    if box is None or box.kind not in ports:
        return []
    enslaved = [f"link set {port} master {GATEWAY}" for port in ports[box.kind]]
    return [f"link add {GATEWAY} mtu {mtu} type bridge", *enslaved, f"link set {GATEWAY} up"]


def _ip(station: _Station, segments: int, mtu: int) -> list[str]:
    """Return the tunnel devices, addresses, neighbours and routes of one pod or IP hop."""
    commands = []
    for end in station.tunnels():
        here = end.underlay(end.end)
        commands += [
            f"addr add {here}/24 dev {end.side}",
            f"link add {end.name} mtu {mtu} address {end.mac(end.end)} type vxlan id {100 + end.segment} "
            f"dstport {VXLAN_PORT} local {here} nolearning",
            f"link set {end.name} up",
        ]
    commands += [f"addr add {address} dev {device}" for device, address in station.addresses()]
    for end in station.tunnels():
        far = f"10.50.{end.segment}.{end.far_end}"
        commands.append(f"neigh add {far} lladdr {end.mac(end.far_end)} dev {end.name} nud permanent")
    if station.kind is None:
        via = "10.50.0.2" if station.left is None else f"10.50.{station.left}.1"
        return [*commands, f"route add default via {via}"]
    assert station.left is not None and station.right is not None
    commands += [f"route add 10.50.{far}.0/24 via 10.50.{station.left}.1" for far in range(station.left)]
    commands += [
        f"route add 10.50.{far}.0/24 via 10.50.{station.right}.2" for far in range(station.right + 1, segments)
    ]
    return commands

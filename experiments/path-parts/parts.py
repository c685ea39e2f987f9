"""Parts of a packet's way, one at a time: tunnels, tables of netfilter hooks, macvlan.

As root: ``python parts.py [ROUNDS]``. The method is that of `netsim calibrate`: one pinned thread owns the sockets of
both ends, so that a send runs the whole way to the receiver's queue, and every way is timed beside a plain veth pair.
All stand at once and are visited in random order, round after round. Namespaces exist as long as this process does.
"""

from __future__ import annotations

import ctypes
import random
import socket
import statistics
import sys
from collections.abc import Callable
from time import perf_counter_ns

from netsim.calibration.kernel.namespaces import CommandError, Sandbox
from netsim.calibration.kernel.probes import BATCH, _Batch
from netsim.calibration.kernel.timing import undisturbed

LIBC = ctypes.CDLL(None, use_errno=True)
HOST = Sandbox()
sh, spaces, pair = HOST.commands, HOST.routers, HOST.pair
LEFT, RIGHT = "10.1.0.2", "10.2.0.2"
"""Addresses of the two ends."""
SO_RCVBUFFORCE = 33
Join = Callable[[int, int], None]


class Way:
    """Two ends and what a datagram, or a byte over TCP, takes from one to the other."""

    def __init__(self, left: int, right: int, address: str = RIGHT, size: int = 32) -> None:
        with HOST.inside(right):
            self.sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sink.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
            self.sink.bind((address, 5001))
            self.listener = socket.create_server((address, 5002))
        with HOST.inside(left):
            self.source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.source.connect((address, 5001))
            self.client = socket.create_connection((address, 5002), timeout=3)
        self.server, _ = self.listener.accept()
        for end in (self.client, self.server):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.out, self.into = _Batch(size), _Batch(8192)
        self.arrives = True

    def udp(self) -> float:
        """Nanoseconds a datagram, of a batch sent and received."""
        start = perf_counter_ns()
        if LIBC.sendmmsg(self.source.fileno(), self.out.headers, BATCH, 0) != BATCH:
            raise OSError("datagrams were not sent")
        if self.arrives:
            got = LIBC.recvmmsg(self.sink.fileno(), self.into.headers, BATCH, socket.MSG_DONTWAIT, None)
            if got != BATCH:
                raise OSError(f"{BATCH} datagrams were sent, {max(got, 0)} arrived")
        return (perf_counter_ns() - start) / BATCH

    def tcp(self, exchanges: int = 16) -> float:
        """Nanoseconds a way: half of a byte and its answer."""
        start = perf_counter_ns()
        for _ in range(exchanges):
            self.client.send(b"x")
            self.server.recv(8)
            self.server.send(b"y")
            self.client.recv(8)
        return (perf_counter_ns() - start) / exchanges / 2


def direct(size: int = 32, mtu: int = 1500, *, dropped: bool = False) -> Way:
    """One veth pair, of some MTU, crossed by datagrams of some size, which may end where the other end has them."""
    left, right = spaces(2)
    pair(left, "e0", right, "e0")
    sh(left, f"ip addr add {LEFT}/24 dev e0", f"ip link set e0 mtu {mtu}")
    sh(right, "ip addr add 10.1.0.3/24 dev e0", f"ip link set e0 mtu {mtu}")
    way = Way(left, right, "10.1.0.3", size)
    if dropped:
        end(way, right, "e0")
    return way


def end(way: Way, space: int, device: str) -> None:
    """Let packets of a way end where a device has them."""
    chain = f"type filter hook ingress device {device} priority 0; policy drop;"
    HOST.run(space, ["nft", "-f", "-"], f"table netdev t {{\nchain c {{\n{chain}\n}}\n}}\n")
    way.arrives = False


def macvlan(both: bool) -> Way:
    """A macvlan device on one end of a veth pair, or on each."""
    left, right, low, high = spaces(4)
    ends = [(low, left, LEFT), (high, right, "10.1.0.3")]
    if not both:
        ends.pop()
    pair(low, "u0", high if both else right, "u0")
    for under, over, address in ends:
        sh(under, f"ip link add m0 link u0 netns {HOST.reference(over)} type macvlan mode bridge")
        sh(over, "ip link set m0 up", f"ip addr add {address}/24 dev m0")
    if not both:
        sh(right, "ip addr add 10.1.0.3/24 dev u0")
    return Way(left, right, "10.1.0.3")


def routed(join: Join, *commands: str, dropped: str = "", marked: bool = False) -> Way:
    """Two routers between the ends, joined by ``join``; ``commands`` run on the first.

    With ``dropped`` packets end where that device of the second router has them: its card, so that what remains is the
    first router's part, or its tunnel. ``marked`` ones leave the first router with congestion experienced; inside a
    tunnel whose inner packets do not know of congestion they end where the device would get them (RFC 6040).
    """
    left, one, other, right = spaces(4)
    pair(left, "e0", one, "l0")
    pair(other, "l0", right, "e0")
    pair(one, "u0", other, "u0")
    sh(left, f"ip addr add {LEFT}/24 dev e0", "ip route add default via 10.1.0.1")
    sh(right, f"ip addr add {RIGHT}/24 dev e0", "ip route add default via 10.2.0.1")
    sh(one, "ip addr add 10.1.0.1/24 dev l0", "ip addr add 172.16.0.1/24 dev u0")
    sh(other, "ip addr add 10.2.0.1/24 dev l0", "ip addr add 172.16.0.2/24 dev u0")
    join(one, other)
    for command in commands:
        sh(one, command)
    way = Way(left, right)
    if marked:
        chain = "type filter hook egress device u0 priority 0; ip ecn set ce"
        HOST.run(one, ["nft", "-f", "-"], f"table netdev m {{\nchain c {{\n{chain}\n}}\n}}\n")
        way.arrives = False
    if dropped:
        end(way, other, dropped)
    return way


def plain(one: int, other: int) -> None:
    """Join by routes."""
    sh(one, "ip route add 10.2.0.0/24 via 172.16.0.2")
    sh(other, "ip route add 10.1.0.0/24 via 172.16.0.1")


def tunnel(sends: bool, receives: bool) -> Join:
    """Join by VXLAN, with metadata (and routes that name the tunnel) where the first sends or the other receives."""

    def join(one: int, other: int) -> None:
        for space, me, peer, net, chosen in ((one, 1, 2, "10.2.0.0/24", sends), (other, 2, 1, "10.1.0.0/24", receives)):
            ends = f"id 5 local 172.16.0.{me} remote 172.16.0.{peer} dev u0"
            sh(space, f"ip link add x0 type vxlan {'external' if chosen else ends} dstport 4789 nolearning",
               f"ip link set x0 address 02:00:00:00:00:0{me}", "ip link set x0 up mtu 1450",
               f"ip addr add 10.9.0.{me}/32 dev x0",
               f"ip neigh add 10.9.0.{peer} lladdr 02:00:00:00:00:0{peer} dev x0 nud permanent")  # fmt: skip
            through = f"encap ip id 5 dst 172.16.0.{peer} " if chosen else ""
            sh(space, f"ip route add {net} {through}via 10.9.0.{peer} dev x0 onlink")

    return join


FILTER, MANGLE, RAW, NAT = (f"iptables-legacy -w -t {table} -L -n" for table in ("filter", "mangle", "raw", "nat"))
TRACKED = "iptables-legacy -w -A FORWARD -m conntrack --ctstate INVALID -j DROP"
WAYS: dict[str, Callable[[], Way]] = {
    "one veth pair": direct,
    "macvlan at one end": lambda: macvlan(both=False),
    "macvlan at both ends": lambda: macvlan(both=True),
    "two routers": lambda: routed(plain),
    "filter": lambda: routed(plain, FILTER),
    "mangle": lambda: routed(plain, MANGLE),
    "filter, mangle, raw": lambda: routed(plain, FILTER, MANGLE, RAW),
    "filter, conntrack": lambda: routed(plain, TRACKED),
    "filter, conntrack, nat": lambda: routed(plain, TRACKED, NAT),
    "filter, conntrack, nat, mangle, raw": lambda: routed(plain, TRACKED, NAT, MANGLE, RAW),
    "VXLAN": lambda: routed(tunnel(sends=False, receives=False)),
    "VXLAN, metadata at the receiver": lambda: routed(tunnel(sends=False, receives=True)),
    "VXLAN, metadata": lambda: routed(tunnel(sends=True, receives=True)),
    "two routers, first alone": lambda: routed(plain, dropped="u0"),
    "VXLAN, first alone": lambda: routed(tunnel(sends=False, receives=False), dropped="u0"),
    "VXLAN, metadata, first alone": lambda: routed(tunnel(sends=True, receives=True), dropped="u0"),
    "VXLAN, first alone, marked": lambda: routed(tunnel(sends=False, receives=False), dropped="u0", marked=True),
    "VXLAN, up to the device, marked": lambda: routed(tunnel(sends=False, receives=False), marked=True),
    "VXLAN, behind the device": lambda: routed(tunnel(sends=False, receives=False), dropped="x0"),
    "4200 bytes whole": lambda: direct(4200, 9000),
    "4200 bytes in fragments": lambda: direct(4200),
    "4200 bytes whole, sent": lambda: direct(4200, 9000, dropped=True),
    "4200 bytes in fragments, sent": lambda: direct(4200, dropped=True),
    "7200 bytes whole": lambda: direct(7200, 9000),
    "7200 bytes in fragments": lambda: direct(7200),
    "7200 bytes whole, sent": lambda: direct(7200, 9000, dropped=True),
    "7200 bytes in fragments, sent": lambda: direct(7200, dropped=True),
}


def quantile(values: list[float], share: float) -> float:
    """Return a quantile."""
    return sorted(values)[int(share * len(values))]


def main(rounds: int) -> None:
    """Time all ways and print them."""
    standing: dict[str, Way] = {}
    for name, build in WAYS.items():
        try:
            standing[name] = build()
        except (CommandError, OSError) as error:
            print(f"{name}: {error}")
    reference = next(iter(standing.values()))
    ratios: dict[tuple[str, str], list[float]] = {}
    plain_ns: dict[str, list[float]] = {"udp": [], "tcp": []}
    with undisturbed():
        for number in range(rounds):
            for name in random.Random(number).sample(list(standing), len(standing)):
                for probe in ("udp", "tcp") if standing[name].arrives else ("udp",):
                    run, beside = getattr(standing[name], probe), getattr(reference, probe)
                    for _ in range(4):
                        run()
                    times = [(run(), beside()) for _ in range(25)]
                    base = quantile([other for _, other in times], 0.25)
                    ratios.setdefault((name, probe), []).append(quantile([mine for mine, _ in times], 0.25) / base)
                    plain_ns[probe].append(base)
    for (name, probe), found in ratios.items():
        scale = quantile(plain_ns[probe], 0.2)
        low, middle, high = (scale * quantile(found, share) for share in (0.25, 0.5, 0.75))
        print(f"{name:36} {probe} {statistics.median((low, middle, high)):6.0f} ns ({low:.0f} to {high:.0f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 16)

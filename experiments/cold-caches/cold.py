"""A packet's way through a node with warm caches and with cold ones, mechanism by mechanism.

As root: ``python cold.py [ROUNDS]``. One thread owns the sockets of both ends, so that a send runs the whole way to the
receiver's queue. Before each datagram the caches are left alone, or filled with other data and code (`cold.c`). All
ways stand at once and are visited in random order, round after round; what a mechanism costs is the difference of two.
"""

from __future__ import annotations

import ctypes
import random
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from netsim.calibration.kernel.namespaces import Sandbox

HOST = Sandbox()
sh, spaces, pair = HOST.commands, HOST.routers, HOST.pair
LEFT, RIGHT = "10.1.0.2", "10.2.0.2"
KIB, MIB = 1 << 10, 1 << 20
LEVELS = {
    "warm": (0, 0),
    "L1": (64 * KIB, 64 * KIB),
    "L2": (MIB, 128 * KIB),
    "L2 and code": (2 * MIB, 2 * MIB),
    "all": (64 * MIB, 2 * MIB),
}
"""Bytes of data and of code that others use between two packets."""
SAMPLES = {"all": 25}
KUBE_PROXY = """
*mangle
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-PROXY-CANARY - [0:0]
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -m comment --comment "service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "postrouting" -j KUBE-POSTROUTING
COMMIT
*filter
:KUBE-FORWARD - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-NODEPORTS - [0:0]
-A INPUT -m comment --comment "health check ports" -j KUBE-NODEPORTS
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "load balancer firewall" -j KUBE-SERVICES
-A FORWARD -m comment --comment "forwarding" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "portals" -j KUBE-SERVICES
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "marked" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "known" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
"""
"""What kube-proxy has where an established packet passes (kubernetes pkg/proxy/iptables/proxier.go)."""
CALICO = """
*raw
:c-PREROUTING - [0:0]
:c-rpf-skip - [0:0]
:c-from-host - [0:0]
-A PREROUTING -m comment --comment "a" -j c-PREROUTING
-A c-PREROUTING -m comment --comment "b" -j MARK --set-xmark 0x0/0xf0000
-A c-PREROUTING -i e+ -m comment --comment "c" -j MARK --set-xmark 0x40000/0x40000
-A c-PREROUTING -m comment --comment "d" -m mark --mark 0x40000/0x40000 -j c-rpf-skip
-A c-PREROUTING -m comment --comment "e" -m mark --mark 0x40000/0x40000 -m rpfilter --invert -j DROP
-A c-PREROUTING -m comment --comment "f" -m mark --mark 0x0/0x40000 -j c-from-host
-A c-PREROUTING -m comment --comment "g" -m mark --mark 0x10000/0x10000 -j ACCEPT
COMMIT
*mangle
:c-PREROUTING - [0:0]
:c-POSTROUTING - [0:0]
-A PREROUTING -m comment --comment "a" -j c-PREROUTING
-A POSTROUTING -m comment --comment "a" -j c-POSTROUTING
-A c-PREROUTING -m comment --comment "b" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A c-POSTROUTING -m comment --comment "b" -m mark --mark 0x10000/0x10000 -j RETURN
-A c-POSTROUTING -m comment --comment "c" -j MARK --set-xmark 0x0/0xf0000
-A c-POSTROUTING -m comment --comment "d" -m conntrack --ctstate DNAT -j RETURN
COMMIT
*filter
:c-FORWARD - [0:0]
:c-from-hep - [0:0]
:c-from-wl - [0:0]
:c-to-wl - [0:0]
:c-fw - [0:0]
:c-tw - [0:0]
-I FORWARD -m comment --comment "a" -j c-FORWARD
-A FORWARD -m comment --comment "z" -m mark --mark 0x10000/0x10000 -j ACCEPT
-A c-FORWARD -m comment --comment "b" -j MARK --set-xmark 0x0/0xe0000
-A c-FORWARD -m comment --comment "c" -m mark --mark 0x0/0x10000 -j c-from-hep
-A c-FORWARD -i l+ -m comment --comment "d" -j c-from-wl
-A c-FORWARD -o l+ -m comment --comment "e" -j c-to-wl
-A c-from-wl -i l1 -m comment --comment "1" -g c-fw
-A c-from-wl -i l2 -m comment --comment "2" -g c-fw
-A c-from-wl -i l3 -m comment --comment "3" -g c-fw
-A c-from-wl -i l0 -m comment --comment "0" -g c-fw
-A c-to-wl -o l1 -m comment --comment "1" -g c-tw
-A c-to-wl -o l0 -m comment --comment "0" -g c-tw
-A c-fw -m comment --comment "a" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A c-tw -m comment --comment "a" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
"""
"""What an established packet of a pod meets besides with Calico (projectcalico/calico felix/rules/static.go)."""


class Way:
    """Two ends, with a flow that both have spoken in."""

    def __init__(self, left: int, right: int, address: str = RIGHT) -> None:
        with HOST.inside(right):
            self.sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sink.bind((address, 5001))
        with HOST.inside(left):
            self.source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.source.connect((address, 5001))
        for _ in range(3):
            self.source.send(b"x")
            _, sender = self.sink.recvfrom(64)
            self.sink.sendto(b"y", sender)
            self.source.recv(64)

    def probe(self, library: ctypes.CDLL, samples: int) -> float:
        """Return the median nanoseconds of a datagram sent."""
        found = (ctypes.c_int64 * samples)()
        failed = library.probe(self.source.fileno(), self.sink.fileno(), samples, found)
        if failed:
            raise OSError(f"a datagram did not pass: {failed}")
        return statistics.median(found)


def direct() -> Way:
    """One veth pair."""
    left, right = spaces(2)
    pair(left, "e0", right, "e0")
    sh(left, f"ip addr add {LEFT}/24 dev e0")
    sh(right, "ip addr add 10.1.0.3/24 dev e0")
    return Way(left, right, "10.1.0.3")


def bridged() -> Way:
    """Two veth pairs and a bridge between."""
    left, node, right = spaces(3)
    sh(node, "ip link add br0 type bridge", "ip link set br0 up")
    for index, space in enumerate((left, right)):
        pair(space, "e0", node, f"l{index}")
        sh(node, f"ip link set l{index} master br0")
        sh(space, f"ip addr add 10.1.0.{index + 2}/24 dev e0")
    return Way(left, right, "10.1.0.3")


def routed(tool: str = "", *texts: str) -> Way:
    """Two veth pairs and a node that forwards, with tables written by ``tool``."""
    left, node, right = spaces(3)
    pair(left, "e0", node, "l0")
    pair(node, "u0", right, "e0")
    sh(node, "ip addr add 10.1.0.1/24 dev l0", "ip addr add 10.2.0.1/24 dev u0")
    sh(left, f"ip addr add {LEFT}/24 dev e0", "ip route add default via 10.1.0.1")
    sh(right, f"ip addr add {RIGHT}/24 dev e0", "ip route add default via 10.2.0.1")
    for text in texts:
        HOST.run(node, [tool, "--noflush"], text.lstrip())
    return Way(left, right)


EMPTY = "".join(f"*{table}\nCOMMIT\n" for table in ("mangle", "filter"))
LEGACY, NFT = "iptables-legacy-restore", "iptables-nft-restore"
WAYS: dict[str, Callable[[], Way]] = {
    "direct": direct,
    "bridged": bridged,
    "routed": routed,
    "tables": lambda: routed(LEGACY, EMPTY),
    "kube-proxy, legacy": lambda: routed(LEGACY, KUBE_PROXY),
    "kube-proxy, nft": lambda: routed(NFT, KUBE_PROXY),
    "Calico, legacy": lambda: routed(LEGACY, KUBE_PROXY, CALICO),
    "Calico, nft": lambda: routed(NFT, KUBE_PROXY, CALICO),
}


def build(folder: str) -> ctypes.CDLL:
    """Compile and load the probe."""
    target = Path(folder) / "cold.so"
    source = Path(__file__).with_name("cold.c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", str(source), "-o", str(target)], check=True)
    library = ctypes.CDLL(str(target))
    library.prepare.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
    library.probe.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
    return library


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return the median over rounds of each way at each level."""
    ways = {name: make() for name, make in WAYS.items()}
    found: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        library = build(folder)
        for _ in range(rounds):
            for level, filled in LEVELS.items():
                if library.prepare(*filled):
                    raise MemoryError(level)
                for name in random.sample(list(ways), len(ways)):
                    found.setdefault((name, level), []).append(ways[name].probe(library, SAMPLES.get(level, 400)))
    return {name: {level: statistics.median(found[name, level]) for level in LEVELS} for name in ways}


def main(arguments: Sequence[str]) -> None:
    """Print a table."""
    found = measure(int(arguments[0]) if arguments else 6)
    print(f"{'ns':24}" + "".join(f"{level:>14}" for level in LEVELS))
    for name, row in found.items():
        print(f"{name:24}" + "".join(f"{row[level]:14,.0f}" for level in LEVELS))


if __name__ == "__main__":
    main(sys.argv[1:])

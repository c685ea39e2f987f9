"""Which core sends a pod's stream, and what becomes of its order: two transmit queues that share a line, in one kernel.

    python order.py            # as root; iproute2, nftables; two cores

A pod's veth leads into a node that routes; the node's card is a veth with an HTB class for each core (as XPS has a
queue for each core) that borrow from one line and are served in turn, segment by segment, and a receiver that merges
(GRO). Acknowledgements are taken by the core that RPS names.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

SPACES = ("order-pod", "order-node", "order-peer")
POD, NODE, PEER = SPACES
SECONDS = 3.0
SETTINGS = (("the program's", 0, 400), *(("another", 1, mbit) for mbit in (100, 200, 400, 800)))
"""Who takes acknowledgements, its core, and the line's Mbit/s."""
ETHTOOL = """
import ctypes, fcntl, socket, struct, sys
value = ctypes.create_string_buffer(struct.pack("II", int(sys.argv[2], 16), int(sys.argv[3])))
request = struct.pack("16sP", sys.argv[1].encode(), ctypes.addressof(value))
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8946, request)
"""
TSO, GRO = "0x1f", "0x2c"
RECEIVER = """
import os, socket, time
os.sched_setaffinity(0, {1})
listener = socket.create_server(("10.9.2.2", 5201))
print("ready", flush=True)
peer, _ = listener.accept()
buffer, taken, start = bytearray(131072), 0, time.monotonic()
while more := peer.recv_into(buffer):
    taken += more
print(taken * 8 / (time.monotonic() - start) / 1e9, flush=True)
"""
SENDER = """
import os, socket, sys, time
os.sched_setaffinity(0, {0})
peer, data = socket.create_connection(("10.9.2.2", 5201)), bytes(131072)
start, used = time.monotonic(), time.process_time()
while time.monotonic() - start < float(sys.argv[1]):
    peer.sendall(data)
print((time.process_time() - used) / (time.monotonic() - start))
"""
RULES = """
table ip order {
  chain sends {
    type filter hook postrouting priority 0;
    oifname "card" meta cpu 0 meta priority set "1:1"
    oifname "card" meta cpu 1 meta priority set "1:2"
  }
}
"""


def do(*words: str, text: str = "") -> str:
    """Run a command and return what it says."""
    return subprocess.run(words, input=text, text=True, check=True, capture_output=True).stdout


def inside(space: str, *words: str, text: str = "") -> str:
    """Run a command in a namespace."""
    return do("ip", "netns", "exec", space, *words, text=text)


def build(mbit: int) -> None:
    """Make the pod, its node and the receiver, with a line of so many Mbit/s."""
    for space in SPACES:
        do("ip", "netns", "add", space)
    do("ip", "-n", POD, "link", "add", "name", "eth0", "type", "veth", "peer", "name", "cali0", "netns", NODE)
    do("ip", "-n", NODE, "link", "add", "name", "card", "type", "veth", "peer", "name", "wire", "netns", PEER)
    ends = ((POD, "eth0", "10.9.1.2/24"), (NODE, "cali0", "10.9.1.1/24"), (NODE, "card", "10.9.2.1/24"),
            (PEER, "wire", "10.9.2.2/24"))  # fmt: skip
    for space, device, address in ends:
        do("ip", "-n", space, "addr", "add", address, "dev", device)
        do("ip", "-n", space, "link", "set", device, "up")
    do("ip", "-n", POD, "route", "add", "default", "via", "10.9.1.1")
    do("ip", "-n", PEER, "route", "add", "default", "via", "10.9.2.1")
    inside(NODE, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    line = f"rate {mbit}mbit ceil {mbit}mbit burst 3100 cburst 3100 quantum 1514"
    each = f"rate {mbit // 2}mbit ceil {mbit}mbit burst 1600 cburst 3100 quantum 1514"
    tc = ("tc", "-n", NODE)
    do(*tc, "qdisc", "replace", "dev", "card", "root", "handle", "1:", "htb", "default", "1")
    do(*tc, *f"class add dev card parent 1: classid 1:10 htb {line}".split())
    for core in (1, 2):
        do(*tc, *f"class add dev card parent 1:10 classid 1:{core} htb {each}".split())
        do(*tc, *f"qdisc add dev card parent 1:{core} tbf rate 20gbit burst 3100 limit 8000000".split())
    inside(NODE, "nft", "-f", "-", text=RULES)
    inside(NODE, sys.executable, "-c", ETHTOOL, "card", TSO, "0")
    inside(PEER, sys.executable, "-c", ETHTOOL, "wire", GRO, "1")


def clean() -> None:
    """Take everything away."""
    for space in SPACES:
        subprocess.run(("ip", "netns", "del", space), check=False, capture_output=True)


def counters(space: str) -> dict[str, int]:
    """Return a namespace's counters of TCP."""
    lines = inside(space, "cat", "/proc/net/snmp", "/proc/net/netstat").splitlines()
    pairs = zip(lines[::2], lines[1::2], strict=True)
    return {name: int(value) for names, values in pairs
            for name, value in zip(names.split()[1:], values.split()[1:], strict=True)}  # fmt: skip


def sent() -> list[int]:
    """Return the bytes that each core has sent."""
    told = do("tc", "-s", "-n", NODE, "class", "show", "dev", "card").split("class htb ")
    return [int(each.split("Sent ")[1].split()[0]) for each in told if each.startswith(("1:1 ", "1:2 "))]


def measure(core: int) -> Sequence[float]:
    """Return Gbit/s, the program's core's share of bytes, its load, and shares out of order and sent again."""
    inside(NODE, "sh", "-c", f"echo {1 << core} > /sys/class/net/card/queues/rx-0/rps_cpus")
    with subprocess.Popen(("ip", "netns", "exec", PEER, sys.executable, "-c", RECEIVER), stdout=subprocess.PIPE,
                          text=True) as receiver:  # fmt: skip
        assert receiver.stdout is not None
        receiver.stdout.readline()
        before = counters(PEER), counters(POD), sent()
        load = float(inside(POD, sys.executable, "-c", SENDER, str(SECONDS)))
        rate = float(receiver.stdout.readline())
    time.sleep(0.2)
    after = counters(PEER), counters(POD), sent()
    taken = after[0]["InSegs"] - before[0]["InSegs"]
    late = after[0]["TCPOFOQueue"] - before[0]["TCPOFOQueue"]
    again = after[1]["RetransSegs"] - before[1]["RetransSegs"]
    by_core = [last - first for first, last in zip(before[2], after[2], strict=True)]
    return rate, by_core[0] / sum(by_core), load, late / taken, again / taken


def main() -> None:
    """Measure every setting."""
    print("acknowledgements by  line  rate  by the program's core  its load  out of order  sent again")
    for who, core, mbit in SETTINGS:
        clean()
        try:
            build(mbit)
            rate, share, load, late, again = measure(core)
        finally:
            clean()
        print(f"{who:19}  {mbit:4}  {rate:.2f}  {share:20.0%}  {load:9.1%}  {late:12.0%}  {again:10.1%}")


if __name__ == "__main__":
    main()

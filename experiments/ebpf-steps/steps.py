"""What the steps of eBPF programs cost on this machine: the kernel runs and times them itself.

Run as root on Linux: python -m experiments.ebpf-steps.steps [--factor K] [--out FILE]

Each program repeats one step some hundred times without a branch and is run by BPF_PROG_TEST_RUN, which times it in
the kernel; a step costs what the program takes beyond an empty one, over its repetitions. The tenth percentile of the
rounds is taken: nothing interrupts most of them, and others' programs can only add time. ``--factor`` is what
``netsim calibrate`` gives this machine; figures over it are the profile's.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.records import Finding, show, write
from netsim.calibration.kernel.namespaces import CommandError
from netsim.calibration.kernel.redirect import bpf
from netsim.datapath.costs import load_profile

MAP_CREATE, MAP_UPDATE, PROGRAM_LOAD, TEST_RUN = 0, 2, 5, 10
XDP, PASS = 6, 2
HASH, LRU = 1, 9
LOOKUP, UPDATE, DELETE, RANDOM, REDIRECT, FIB = 1, 2, 3, 7, 23, 69
KEY_BYTES, VALUE_BYTES = 16, 56
"""As a connection's addresses, ports and protocol, and what a plugin keeps of it."""
REPEATED, ROUNDS, RUNS = 200, 60, 400
PACKET = bytes(12) + b"\x08\x00" + bytes(50)


class Step(NamedTuple):
    """A step: its instructions (given the map it uses), the map, and the figure of the profile it says something of."""

    name: str
    code: Callable[[int], bytes]
    kind: int = HASH
    entries: int = 0
    figure: str = ""
    times: float = 1.0
    """How many of these steps the figure is."""
    beside: str = ""
    """A step in front of it that is part of what is timed and no part of the figure."""


def op(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    """Return one instruction."""
    return struct.pack("<BBhi", code, target | source << 4, offset, value)


def call(helper: int) -> bytes:
    """Call a helper of the kernel."""
    return op(0x85, value=helper)


def table(handle: int) -> bytes:
    """Return r1 = the map."""
    return op(0x18, 1, 1, value=handle) + op(0)


KEY_ON_STACK = op(0xBF, 2, 10) + op(0x07, 2, value=-KEY_BYTES)
VALUE_ON_STACK = op(0xBF, 3, 10) + op(0x07, 3, value=-KEY_BYTES - VALUE_BYTES)
CLEAR_STACK = b"".join(op(0x7A, 10, offset=-8 * slot) for slot in range(1, (KEY_BYTES + VALUE_BYTES) // 8 + 9))


def known(handle: int) -> bytes:
    """Look the same key up."""
    return table(handle) + KEY_ON_STACK + call(LOOKUP)


def drawn(mask: int) -> bytes:
    """Put a random key on the stack."""
    return call(RANDOM) + op(0x57, 0, value=mask) + op(0x63, 10, 0, offset=-KEY_BYTES)


def scattered(entries: int) -> Callable[[int], bytes]:
    """Look a random one of the keys up."""
    return lambda handle: drawn(entries - 1) + known(handle)


def made(handle: int) -> bytes:
    """Enter a key and remove it again."""
    update = table(handle) + KEY_ON_STACK + VALUE_ON_STACK + op(0xB7, 4) + call(UPDATE)
    return update + table(handle) + KEY_ON_STACK + call(DELETE)


ROUTE = -KEY_BYTES - VALUE_BYTES - 64
"""Where bpf_fib_lookup's parameters are on the stack."""


def routed(handle: int) -> bytes:
    """Look a route and its neighbour up (bpf_fib_lookup), to the address that `network` gives a neighbour."""
    asked = op(0x7A, 10, offset=ROUTE, value=2) + op(0x62, 10, offset=ROUTE + 8, value=socket.if_nametoindex(DEVICE))
    asked += b"".join(op(0x62, 10, offset=ROUTE + at, value=_address(end)) for at, end in ((16, 9), (32, 2)))
    return (
        asked
        + op(0xBF, 1, 6)
        + op(0xBF, 2, 10)
        + op(0x07, 2, value=ROUTE)
        + op(0xB7, 3, value=64)
        + op(0xB7, 4)
        + call(FIB)
    )


DEVICE = "d0"


def _address(end: int) -> int:
    return int.from_bytes(bytes((10, 9, 8, end)), sys.byteorder)


def network() -> None:
    """Move to a network namespace of this process's own, with a device, a neighbour on it, and forwarding."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):
        raise CommandError(f"no network namespace of one's own: {os.strerror(ctypes.get_errno())}")
    for command in (
        "link add d0 type veth peer name d1", "link set d1 up", "link set d0 up", "address add 10.9.8.1/24 dev d0",
        "neigh add 10.9.8.2 lladdr 02:00:00:00:00:02 dev d0",
    ):  # fmt: skip
        subprocess.run(["ip", *command.split()], check=True)
    Path("/proc/sys/net/ipv4/conf/d0/forwarding").write_text("1", encoding="ascii")


STEPS = (
    Step("random number", lambda handle: call(RANDOM)),
    Step("hash look-up, the same key", known, HASH, 4096),
    Step("hash look-up, one of 1,024", scattered(1 << 10), HASH, 1 << 10, "ebpf.lookup", beside="random number"),
    Step("hash look-up, one of 16,384", scattered(1 << 14), HASH, 1 << 14, "ebpf.lookup", beside="random number"),
    Step("hash look-up, one of 262,144", scattered(1 << 18), HASH, 1 << 18, beside="random number"),
    Step("LRU look-up, the same key", known, LRU, 4096),
    Step("LRU entry made and removed", made, LRU, 4096, "ebpf.conntrack", times=2.0),
    Step("redirect to a device", lambda handle: op(0xB7, 1, value=1) + op(0xB7, 2) + call(REDIRECT)),
    Step("route and neighbour", routed, figure="xdp.route"),
)


@contextmanager
def opened(handle: int) -> Iterator[int]:
    """Close what the kernel opened."""
    try:
        yield handle
    finally:
        os.close(handle)


def buffer(content: bytes) -> tuple[ctypes.Array[ctypes.c_char], int]:
    """Return content the kernel can read, and its address."""
    kept = ctypes.create_string_buffer(content, len(content))
    return kept, ctypes.addressof(kept)


def load(code: bytes) -> int:
    """Load an XDP program: r6 its context, r7 the packet, the stack zero."""
    head = op(0xBF, 6, 1) + op(0x61, 7, 6) + op(0x61, 8, 6, offset=4)
    enough = op(0xBF, 0, 7) + op(0x07, 0, value=len(PACKET)) + op(0xBD, 0, 8, offset=2)
    leave = op(0xB7, 0, value=PASS) + op(0x95)
    program = head + enough + leave + CLEAR_STACK + code + leave
    _text, where = buffer(program)
    _licence, said = buffer(b"GPL\0")
    return bpf(PROGRAM_LOAD, struct.pack("=IIQQ", XDP, len(program) // 8, where, said))


def timed(program: int) -> float:
    """Return nanoseconds of one run, the tenth percentile of the rounds."""
    _packet, where = buffer(PACKET)
    found = []
    for _ in range(ROUNDS):
        attributes, _ = buffer(
            struct.pack("=IIIIQQII", program, 0, len(PACKET), 0, where, 0, RUNS, 0).ljust(128, b"\0")
        )
        bpf(TEST_RUN, attributes)
        found.append(struct.unpack_from("=I", attributes.raw, 36)[0])
    return float(np.quantile(found, 0.1))


def filled(kind: int, entries: int) -> int:
    """Return a map with keys 0, 1, 2 …; of one entry fewer than it takes."""
    handle = bpf(MAP_CREATE, struct.pack("=IIIII", kind, KEY_BYTES, VALUE_BYTES, 2 * entries, 0))
    _value, at = buffer(bytes(VALUE_BYTES))
    for number in range(entries):
        _key, where = buffer(number.to_bytes(4, "little").ljust(KEY_BYTES, b"\0"))
        bpf(MAP_UPDATE, struct.pack("=I4xQQQ", handle, where, at, 0))
    return handle


def measure(step: Step, empty_ns: float) -> float:
    """Return nanoseconds of one step."""
    with (
        opened(filled(step.kind, max(1, step.entries))) as handle,
        opened(load(step.code(handle) * REPEATED)) as program,
    ):
        return (timed(program) - empty_ns) / REPEATED


def findings(factor: float) -> list[Finding]:
    """Return every step, and whether the profile's figure holds it at this machine's ``factor``."""
    with opened(load(b"")) as nothing:
        empty_ns = timed(nothing)
    figures = load_profile("server").figures
    found: dict[str, float] = {}
    rows = []
    for step in STEPS:
        found[step.name] = measure(step, empty_ns) - found.get(step.beside, 0.0)
        each = f"{found[step.name]:.1f} ns"
        if not step.figure:
            rows.append(Finding(step.name, each, "printed", True))
            continue
        value, stated = found[step.name] * step.times / factor, figures[step.figure].chosen()
        expected = f"{step.figure} {stated.low:g} to {stated.high:g}"
        rows.append(Finding(step.name, f"{each}: {value:.0f}", expected, stated.low <= value <= stated.high))
    return rows


def main() -> int:
    """Print and store the findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factor", type=float, default=1.0, help="what netsim calibrate gives this machine")
    parser.add_argument("--out", type=Path, help="file for the record")
    asked = parser.parse_args()
    network()
    rows = findings(asked.factor)
    show(rows)
    if asked.out is not None:
        write(asked.out, rows, factor=asked.factor, kernel=os.uname().release)
    return int(not all(row.holds for row in rows))


if __name__ == "__main__":
    sys.exit(main())

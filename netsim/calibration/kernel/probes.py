"""Inline probes: one thread owns the sockets of both pods and drives them in turn.

A veth pair delivers inside the sender's system call, so sending, receiving, answering and receiving the answer run the
whole path with no wake-up, no interrupt and no scheduler in between: the time on the wall is the path's CPU cost.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from time import perf_counter_ns
from typing import Literal

from netsim.calibration.kernel.build import RIGHT, Built
from netsim.calibration.kernel.namespaces import Sandbox
from netsim.calibration.kernel.tables import DATAGRAM, NEW_DATAGRAM, SERVICE_IP, STREAM, Port, flush_conntrack

ProbeName = Literal["udp_rr", "tcp_rr", "udp_one_way", "udp_new_flow", "tcp_crr"]
PROBES: tuple[ProbeName, ...] = ("udp_rr", "tcp_rr", "udp_one_way", "udp_new_flow", "tcp_crr")
"""A datagram and its answer; a byte and its answer on an open connection; datagrams one way; a datagram and its answer
from a new socket each; connect, a byte, its answer, close."""

MESSAGE = b"x" * 32
BATCH = 32
WAIT_SECONDS = 2


class Probe:
    """Both ends' sockets of a built topology and the exchanges over them.

    Raises
    ------
    OSError
        The path does not carry packets.
    """

    def __init__(self, host: Sandbox, built: Built) -> None:
        self._host, self.built = host, built
        translated = built.topology.translator is not None
        self._to: Callable[[Port], tuple[str, int]] = lambda port: (
            (SERVICE_IP, port.number) if translated else (built.server, port.target)
        )
        self._sockets: list[socket.socket] = []
        try:
            self._connect()
        except OSError:
            self.close()
            raise
        self._out, self._in = _Batch(len(MESSAGE)), _Batch(2048)
        self.run: Mapping[ProbeName, Callable[[int], float]] = {
            "udp_rr": lambda count: _exchange(self._client, self._server, count, MESSAGE),
            "tcp_rr": lambda count: _exchange(self._stream, self._accepted, count, b"x"),
            "udp_one_way": self._one_way,
            "udp_new_flow": self._new_flow,
            "tcp_crr": self._connect_request_close,
        }

    def _connect(self) -> None:
        built, client_port = self.built, 40000
        datagram, stream = socket.SOCK_DGRAM, socket.SOCK_STREAM
        with self._host.inside(built.handles[-1]):
            self._server, self._any, self._listener = (self._socket(kind) for kind in (datagram, datagram, stream))
            self._server.bind((built.server, DATAGRAM.target))
            self._any.bind((built.server, NEW_DATAGRAM.target))
            self._listener.bind((built.server, STREAM.target))
            self._listener.listen(128)
        with self._host.inside(built.handles[0]):
            self._client, self._stream = self._socket(datagram), self._socket(stream)
            self._client.bind((built.client, client_port))
            self._client.connect(self._to(DATAGRAM))
            self._server.connect((built.client, client_port))
            self._stream.connect(self._to(STREAM))
        self._accepted, _ = self._listener.accept()
        self._sockets.append(self._accepted)
        for end in (self._stream, self._accepted):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _socket(self, kind: socket.SocketKind) -> socket.socket:
        made = socket.socket(socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", WAIT_SECONDS, 0))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", WAIT_SECONDS, 0))
        self._sockets.append(made)
        return made

    def refresh(self) -> None:
        """Forget the connections of earlier slices, then let the long-lived ones be seen again, client first."""
        if not self.built.tracking:
            return
        for handle in self.built.tracking:
            with self._host.inside(handle):
                flush_conntrack()
        self.run["udp_rr"](5)
        self.run["tcp_rr"](5)

    def packets(self, name: ProbeName, exchanges: int = 10 * BATCH) -> tuple[int, int]:
        """Return the packets an exchange sends from the client and from the server, by the client's own counters."""
        before = self._counters()
        self.run[name](exchanges)
        after = self._counters()
        return round((after[0] - before[0]) / exchanges), round((after[1] - before[1]) / exchanges)

    def _counters(self) -> tuple[int, int]:
        with self._host.inside(self.built.handles[0]):
            text = Path("/proc/thread-self/net/dev").read_text(encoding="ascii")
        fields = next(line for line in text.splitlines() if line.strip().startswith(f"{RIGHT}:")).split()
        return int(fields[10]), int(fields[2])

    def _one_way(self, count: int) -> float:
        """Median time of a datagram sent and received in batches."""
        libc = ctypes.CDLL(None, use_errno=True)
        send, receive = libc.sendmmsg, libc.recvmmsg
        source, sink = self._client.fileno(), self._server.fileno()
        times = []
        for _ in range(max(count // BATCH, 4)):
            start = perf_counter_ns()
            if send(source, self._out.headers, BATCH, 0) != BATCH:
                raise OSError(ctypes.get_errno(), "datagrams were not sent")
            got = receive(sink, self._in.headers, BATCH, socket.MSG_DONTWAIT, None)
            times.append(perf_counter_ns() - start)
            if got != BATCH:
                raise OSError(f"{BATCH} datagrams were sent, {max(got, 0)} arrived")
        return _median(times) / BATCH

    def _new_flow(self, count: int) -> float:
        """Median time of a new socket's datagram and its answer."""
        target, server, make = self._to(NEW_DATAGRAM), self._any, socket.socket
        times = []
        self._host.enter(self.built.handles[0])
        try:
            for _ in range(count):
                start = perf_counter_ns()
                client = make(socket.AF_INET, socket.SOCK_DGRAM)
                client.sendto(MESSAGE, target)
                _, sender = server.recvfrom(64)
                server.sendto(MESSAGE, sender)
                client.recv(64)
                client.close()
                times.append(perf_counter_ns() - start)
        finally:
            self._host.leave()
        return _median(times)

    def _connect_request_close(self, count: int) -> float:
        """Median time of a whole connection that carries one byte each way."""
        target, accept, make = self._to(STREAM), self._listener.accept, socket.socket
        times = []
        self._host.enter(self.built.handles[0])
        try:
            for _ in range(count):
                start = perf_counter_ns()
                client = make(socket.AF_INET, socket.SOCK_STREAM)
                client.connect(target)
                server, _ = accept()
                client.send(b"x")
                server.recv(8)
                server.send(b"y")
                client.recv(8)
                client.close()
                server.close()
                times.append(perf_counter_ns() - start)
        finally:
            self._host.leave()
        return _median(times)

    def close(self) -> None:
        """Close every socket, eBPF program and namespace of the topology."""
        for one in self._sockets:
            one.close()
        self.built.release(self._host)


def _exchange(client: socket.socket, server: socket.socket, count: int, message: bytes) -> float:
    """Median time of a message and its answer."""
    ask, hear, get, answer = client.send, client.recv, server.recv, server.send
    stamps = [0] * (count + 1)
    stamps[0] = perf_counter_ns()
    for index in range(1, count + 1):
        ask(message)
        get(64)
        answer(message)
        hear(64)
        stamps[index] = perf_counter_ns()
    return _median([late - early for early, late in pairwise(stamps)])


def _median(times: list[int]) -> float:
    times.sort()
    return float(times[len(times) // 2])


class _Vector(ctypes.Structure):
    """``struct iovec``."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """``struct msghdr``."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """``struct mmsghdr``: a message and the length the kernel fills in."""

    _fields_ = (("message", _Message), ("length", ctypes.c_uint))


class _Batch:
    """A batch of messages for ``sendmmsg`` and ``recvmmsg``, all in one buffer."""

    def __init__(self, size: int) -> None:
        self._buffer = ctypes.create_string_buffer(size)
        self._vector = _Vector(ctypes.addressof(self._buffer), size)
        self.headers = (_Header * BATCH)()
        for header in self.headers:
            header.message.vectors, header.message.vector_count = ctypes.pointer(self._vector), 1

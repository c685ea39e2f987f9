"""Network namespaces without names: they exist as long as this process holds them.

A namespace made by ``ip netns add`` is pinned by a mount and outlives a crash. Here a namespace is only an open file of
this process, so the kernel itself removes it with its devices, routes, rules and sockets when the process ends,
whatever ended it: a normal return, Ctrl-C, SIGTERM or SIGKILL. Nothing stale can be left, nothing has to be
found again.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from netsim.errors import InputError

CLONE_NEWNET = 0x40000000
"""Linux ``sched.h``; the Python of this project's oldest version has no ``os.setns`` and ``os.unshare`` yet."""
COMMAND_SECONDS = 60


class CommandError(Exception):
    """A tool refused: what the machine lacks, told by the tool's own words."""


class Host(Protocol):
    """What building a topology needs: namespaces, commands run in them, and their settings."""

    def namespace(self) -> int:
        """Make a namespace and return its handle."""
        ...

    def reference(self, handle: int) -> str:
        """Return how an ``ip`` command run in another namespace names this one."""
        ...

    def run(self, handle: int, command: Sequence[str], text: str = "") -> str:
        """Run a command in a namespace with ``text`` on its input; return its output. Raises `CommandError`."""
        ...

    def setting(self, handle: int, name: str, value: int) -> None:
        """Write a setting below ``/proc/sys/net``. Raises `CommandError` where the kernel has no such setting."""
        ...


def require_linux_root() -> None:
    """Refuse politely where namespaces cannot be made. Raises `InputError`."""
    if not sys.platform.startswith("linux"):
        raise InputError("the kernel can only be measured on Linux", got=sys.platform)
    if os.geteuid() != 0:
        raise InputError("measuring the kernel needs root, to make network namespaces", got=f"user id {os.geteuid()}")


class Sandbox:
    """The namespaces of one measurement; a context manager that lets all of them go.

    Raises
    ------
    InputError
        Not on Linux, not root, or the kernel (or a container around this process) forbids namespaces.
    """

    def __init__(self) -> None:
        require_linux_root()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._handles: list[int] = []

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.release(self._handles)
        os.close(self._home)

    def namespace(self) -> int:
        """Make an empty namespace; the handle is an open file that keeps it alive."""
        if self._libc.unshare(CLONE_NEWNET) != 0:
            reason = os.strerror(ctypes.get_errno())
            raise InputError("the kernel refuses to make a network namespace", got=reason, allowed="CAP_SYS_ADMIN")
        try:
            handle = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            self._enter(self._home)
        self._handles.append(handle)
        return handle

    def release(self, handles: Sequence[int]) -> None:
        """Let namespaces go; the kernel takes them apart once their sockets are closed."""
        for handle in tuple(handles):
            self._handles.remove(handle)
            os.close(handle)

    def reference(self, handle: int) -> str:
        """Return a path that ``ip`` accepts as the name of the namespace."""
        return f"/proc/{os.getpid()}/fd/{handle}"

    def enter(self, handle: int) -> None:
        """Move this thread into a namespace, until `leave`: for loops too tight for a context manager."""
        self._enter(handle)

    def leave(self) -> None:
        """Move this thread back to where it came from."""
        self._enter(self._home)

    @contextmanager
    def inside(self, handle: int) -> Iterator[None]:
        """Run a block in a namespace: sockets made there belong to it for good."""
        self._enter(handle)
        try:
            yield
        finally:
            self._enter(self._home)

    def run(self, handle: int, command: Sequence[str], text: str = "") -> str:
        """Run a command in a namespace. Raises `CommandError`."""
        with self.inside(handle):
            try:
                done = subprocess.run(
                    command, input=text, text=True, capture_output=True, check=False, timeout=COMMAND_SECONDS
                )
            except FileNotFoundError as error:
                raise CommandError(f"{command[0]} is not installed") from error
            except subprocess.TimeoutExpired as error:
                raise CommandError(f"{command[0]} did not finish in {COMMAND_SECONDS} s") from error
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            telling = next((line for line in lines if "rror" in line), lines[-1])
            raise CommandError(f"{command[0]}: {telling.strip()}")
        return done.stdout

    def setting(self, handle: int, name: str, value: int) -> None:
        """Write a setting of one namespace, such as ``ipv4/ip_forward``."""
        with self.inside(handle):
            try:
                Path("/proc/sys/net", name).write_text(str(value), encoding="ascii")
            except OSError as error:
                raise CommandError(f"net/{name}: {error.strerror}") from error

    def commands(self, handle: int, *lines: str) -> str:
        """Run command lines in a namespace; return the last one's output. Raises `CommandError`."""
        return [self.run(handle, line.split()) for line in lines][-1]

    def routers(self, count: int) -> list[int]:
        """Make namespaces that forward whatever way an answer would take."""
        made = [self.namespace() for _ in range(count)]
        for handle in made:
            self.commands(handle, "ip link set lo up")
            self.setting(handle, "ipv4/ip_forward", 1)
            for name in ("all", "default"):
                self.setting(handle, f"ipv4/conf/{name}/rp_filter", 0)
        return made

    def pair(self, one: int, device: str, other: int, peer: str) -> None:
        """Join two namespaces by a veth pair."""
        self.commands(one, f"ip link add {device} type veth peer name {peer} netns {self.reference(other)}")
        self.commands(one, f"ip link set {device} up")
        self.commands(other, f"ip link set {peer} up")

    def _enter(self, handle: int) -> None:
        if self._libc.setns(handle, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

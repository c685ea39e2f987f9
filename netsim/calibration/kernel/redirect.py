"""A six-instruction eBPF program that hands packets to another interface, attached at TCX ingress.

It separates one veth crossing from everything else: ``bpf_redirect`` sends the packet out of the interface (and so
through its veth pair), ``bpf_redirect_peer`` puts it straight into the far end's namespace (kernel 6.6 and later).
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct

from netsim.calibration.kernel.namespaces import CommandError

_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}
_PROG_LOAD, _LINK_CREATE = 5, 28
_SCHED_CLS, _TCX_INGRESS = 3, 46
REDIRECT, REDIRECT_PEER = 23, 155
_CHANGE_TYPE = 32
_LICENSE = b"GPL\0"


def attach(device: str, target: str, helper: int) -> tuple[int, int]:
    """Redirect what ``device`` receives to ``target``, both in this thread's namespace.

    Returns the open program and link; closing them takes the program away. Raises `CommandError`.
    """
    program = b"".join(
        (
            _instruction(0xB7, 2, 0),  # r2 = PACKET_HOST: the frame's address is another interface's
            _instruction(0x85, 0, _CHANGE_TYPE),  # skb_change_type(r1 = context, r2)
            _instruction(0xB7, 1, socket.if_nametoindex(target)),  # r1 = interface
            _instruction(0xB7, 2, 0),  # r2 = no flags
            _instruction(0x85, 0, helper),
            _instruction(0x95, 0, 0),  # exit with the helper's verdict
        )
    )
    code, licence = ctypes.create_string_buffer(program, len(program)), ctypes.create_string_buffer(_LICENSE)
    loaded = bpf(
        _PROG_LOAD,
        struct.pack("=IIQQ", _SCHED_CLS, len(program) // 8, ctypes.addressof(code), ctypes.addressof(licence)),
    )
    try:
        return loaded, bpf(_LINK_CREATE, struct.pack("=IIII", loaded, socket.if_nametoindex(device), _TCX_INGRESS, 0))
    except CommandError:
        os.close(loaded)
        raise


def _instruction(code: int, register: int, immediate: int) -> bytes:
    return struct.pack("=BBhi", code, register, 0, immediate)


def bpf(command: int, attributes: bytes | ctypes.Array[ctypes.c_char]) -> int:
    """Make a bpf() system call and return what it does: a descriptor of what was opened, or 0.

    Raises
    ------
    CommandError
        When the kernel refuses, or the machine's number of the call is not known.
    """
    number = _BPF_SYSCALL.get(platform.machine())
    if number is None:
        raise CommandError(f"bpf: no system call number known for {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    union = attributes.ljust(128, b"\0") if isinstance(attributes, bytes) else attributes
    handle = int(libc.syscall(number, command, union, len(union)))
    if handle < 0:
        raise CommandError(f"bpf: {os.strerror(ctypes.get_errno())}")
    return handle

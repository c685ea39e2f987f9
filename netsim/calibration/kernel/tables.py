"""Rules as kube-proxy and policy engines write them, and the conntrack table, per namespace.

Every loader replaces what was there, so loading again builds the table anew in other memory.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from netsim.calibration.kernel.namespaces import CommandError, Host
from netsim.calibration.kernel.topologies import Backend, Policy, Services

POD_RANGE = "10.50.0.0/16"
SERVICE_IP = "10.97.0.1"


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the Service and the pod's port behind it."""

    protocol: str
    number: int
    target: int


STREAM = Port("tcp", 80, 5001)
DATAGRAM = Port("udp", 53, 5001)
NEW_DATAGRAM = Port("udp", 54, 5002)
PORTS = (STREAM, DATAGRAM, NEW_DATAGRAM)


def address(index: int, prefix: str) -> str:
    """Return the ``index``-th address of a private range named by its first two bytes."""
    return f"{prefix}.{index // 250}.{index % 250 + 1}"


# ---------------------------------------------------------------------- services
def load_services(host: Host, handle: int, services: Services, pod: str) -> None:
    """Write a service list whose last entries lead to ``pod``. Raises `CommandError`."""
    if services.backend == "nftables":
        host.run(handle, ["nft", "-f", "-"], _service_map(services.others, pod))
        return
    host.run(handle, [restore_tool(host, handle, services.backend)], _service_chain(services.others, pod))


def _service_chain(others: int, pod: str) -> str:
    """Return the nat table of kube-proxy's iptables mode; the other Services share one chain behind their rules."""
    lines = ["*nat", *(f":{chain} ACCEPT [0:0]" for chain in ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"))]
    lines += [f":{name} - [0:0]" for name in ("KUBE-SERVICES", "KUBE-MARK-MASQ", "KUBE-POSTROUTING", "KUBE-SVC-OTHER")]
    for port in PORTS:
        lines += [f":KUBE-SVC-{_name(port)} - [0:0]", f":KUBE-SEP-{_name(port)} - [0:0]"]
    portals = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
    lines += [
        f"-A PREROUTING {portals}",
        f"-A OUTPUT {portals}",
        '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
        "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
        '-A KUBE-POSTROUTING -m comment --comment "traffic that needs SNAT" -j MASQUERADE',
        "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
    ]
    for index in range(others):
        comment = f'-m comment --comment "other/service-{index}:web cluster IP"'
        match = f"-d {address(index, '10.96')}/32 -p tcp {comment} -m tcp --dport 80"
        lines.append(f"-A KUBE-SERVICES {match} -j KUBE-SVC-OTHER")
    for port in PORTS:
        name, comment = _name(port), f'-m comment --comment "measured/{_name(port)}"'
        match = f"-d {SERVICE_IP}/32 -p {port.protocol} {comment} -m {port.protocol} --dport {port.number}"
        lines += [
            f"-A KUBE-SERVICES {match} -j KUBE-SVC-{name}",
            f"-A KUBE-SVC-{name} ! -s {POD_RANGE} {match} -j KUBE-MARK-MASQ",
            f"-A KUBE-SVC-{name} {comment} -j KUBE-SEP-{name}",
            f"-A KUBE-SEP-{name} -s {pod}/32 {comment} -j KUBE-MARK-MASQ",
            f"-A KUBE-SEP-{name} -p {port.protocol} {comment} -m {port.protocol} "
            f"-j DNAT --to-destination {pod}:{port.target}",
        ]
    return _lines([*lines, "COMMIT"])


def _service_map(others: int, pod: str) -> str:
    """Return the table of kube-proxy's nftables mode: one verdict map instead of a list."""
    chains = ["chain mark-for-masquerade { meta mark set mark or 0x4000; }", "chain other { drop; }"]
    elements = [f"{address(index, '10.96')} . tcp . 80 : goto other" for index in range(others)]
    for port in PORTS:
        name, proto = _name(port).lower(), port.protocol
        chains += [
            f"chain endpoint-{name} {{ ip saddr {pod} jump mark-for-masquerade; "
            f"meta l4proto {proto} dnat to {pod}:{port.target}; }}",
            f"chain service-{name} {{ ip saddr != {POD_RANGE} jump mark-for-masquerade; "
            f"numgen random mod 1 vmap {{ 0 : goto endpoint-{name} }}; }}",
        ]
        elements.append(f"{SERVICE_IP} . {proto} . {port.number} : goto service-{name}")
    chains += [
        _map("service-ips", elements),
        "chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }",
        "chain prerouting { type nat hook prerouting priority -100; jump services; }",
        "chain output { type nat hook output priority -100; jump services; }",
        "chain postrouting { type nat hook postrouting priority 100; "
        "meta mark & 0x4000 == 0 return; meta mark set mark xor 0x4000; masquerade fully-random; }",
    ]
    return _table("netsim-services", chains)


def _name(port: Port) -> str:
    return f"{port.protocol.upper()}{port.number}"


# ---------------------------------------------------------------------- policies
_LINES: Mapping[str, Callable[[int], str]] = {
    "address": lambda index: f"-s {address(index, '10.200')}/32 -d {POD_RANGE} -j ACCEPT",
    "port": lambda index: f"-s {POD_RANGE} -p udp -m udp --dport {10000 + index} -j ACCEPT",
    "ipset": lambda _: "-m set --match-set elsewhere src -j ACCEPT",
}


def load_policy(host: Host, handle: int, policy: Policy) -> None:
    """Write a filter chain that no packet of ours matches before its end. Raises `CommandError`."""
    if policy.match == "map":
        host.run(handle, ["nft", "-f", "-"], _policy_map(policy))
        return
    if policy.match == "ipset" and "elsewhere" not in host.run(handle, ["ipset", "list", "-n"]):
        members = (f"add elsewhere {address(index, '10.200')}" for index in range(policy.members))
        host.run(handle, ["ipset", "restore"], _lines(["create elsewhere hash:ip maxelem 131072", *members]))
    lines = ["*filter", ":FORWARD ACCEPT [0:0]", ":POLICY - [0:0]"]
    if policy.stateful:
        lines.append("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
    lines.append("-A FORWARD -j POLICY")
    lines += [f"-A POLICY {_LINES[policy.match](index)}" for index in range(policy.rules)]
    host.run(handle, [restore_tool(host, handle, policy.backend)], _lines([*lines, "COMMIT"]))


def _policy_map(policy: Policy) -> str:
    elements = [f"{address(index, '10.200')} . tcp . 80 : accept" for index in range(policy.members)]
    state = "ct state established,related accept; " if policy.stateful else ""
    look_ups = "; ".join(["ip daddr . meta l4proto . th dport vmap @elsewhere"] * policy.rules)
    chain = f"chain forward {{ type filter hook forward priority 0; {state}{look_ups}; }}"
    return _table("netsim-policy", [_map("elsewhere", elements), chain])


# ---------------------------------------------------------------------- tools and conntrack
_KINDS: Mapping[Backend, str] = {"iptables-legacy": "legacy", "iptables-nft": "nf_tables"}
"""What ``iptables --version`` says in brackets."""


def restore_tool(host: Host, handle: int, backend: Backend) -> str:
    """Return the program that loads iptables rules into a back-end: by its own name, or as the machine's default.

    Raises
    ------
    CommandError
        Neither is there.
    """
    try:
        host.run(handle, [backend, "--version"])
    except CommandError:
        if _KINDS[backend] not in host.run(handle, ["iptables", "--version"]):
            raise CommandError(f"{backend} is not installed") from None
        return "iptables-restore"
    return f"{backend}-restore"


def flush_conntrack() -> None:
    """Forget every connection of the namespace this thread is in (ctnetlink, as ``conntrack -F`` does)."""
    subsystem, delete, request_acknowledged = 1, 2, 0x5
    header = struct.pack("=IHHII", 20, subsystem << 8 | delete, request_acknowledged, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:
        netlink.send(header + struct.pack("=BBH", 0, 0, 0))
        answer = netlink.recv(4096)
    code = struct.unpack_from("=i", answer, 16)[0]
    if code != 0:
        raise OSError(-code, "conntrack could not be emptied")


def _map(name: str, elements: Iterable[str]) -> str:
    kind = "type ipv4_addr . inet_proto . inet_service : verdict"
    return f"map {name} {{ {kind}; elements = {{ {', '.join(elements)} }}; }}"


def _table(name: str, parts: Iterable[str]) -> str:
    """Return an nftables script that replaces the whole table."""
    head = f"table ip {name} {{ }}\ndelete table ip {name}\n"
    return head + _lines([f"table ip {name} {{", *parts, "}"])


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"

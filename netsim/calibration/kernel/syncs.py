"""What the tools that proxies write rules with cost on this machine: CPU time over tables laid out like kube-proxy's.

Each tool runs in an empty network namespace of this process; its CPU time is the kernel's account of the process
(``wait4``), so what else the machine does only adds what it takes from the caches. Times are fitted to the laws of
`netsim.datapath.programming`: lines, and for a transaction of nft what the kernel does for verdict maps, whose figures
are scaled by one factor.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from netsim.calibration.kernel.derive import Price
from netsim.calibration.kernel.measure import Progress
from netsim.calibration.kernel.namespaces import CommandError, Sandbox
from netsim.cluster.objects import release
from netsim.datapath.costs import load_profile
from netsim.datapath.programming import full_size, nft_maps_ns

SIZES = ((300, 2), (1200, 2), (3000, 2), (150, 40))
"""Services, and endpoints of each: many with few tell what a Service adds, few with many what a line costs."""


@dataclass(frozen=True, slots=True)
class Table:
    """A proxy's table as a tool reads it."""

    text: str
    services: int

    @property
    def lines(self) -> int:
        """Lines of the table."""
        return self.text.count("\n")


def _address(index: int, first: int) -> str:
    return f"10.{first + (index >> 16)}.{index >> 8 & 255}.{index & 255}"


def iptables_table(services: int, endpoints: int) -> Table:
    """Return the nat table of iptables mode: a list, and chains for each Service and endpoint."""
    heads, rules = [":KUBE-SERVICES - [0:0]", ":KUBE-MARK-MASQ - [0:0]"], ["-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000"]
    for service in range(services):
        chain = f"KUBE-SVC-{service:016X}"
        told = f'-m comment --comment "shop/service-{service}:http'
        match = f"-d {_address(service, 96)}/32 -p tcp -m tcp --dport 80"
        heads.append(f":{chain} - [0:0]")
        rules.append(f'-A KUBE-SERVICES {match} {told} cluster IP" -j {chain}')
        rules.append(f'-A {chain} ! -s 10.244.0.0/16 {match} {told} cluster IP" -j KUBE-MARK-MASQ')
        for number in range(endpoints):
            end = _address(service * endpoints + number, 200)
            jump = f"KUBE-SEP-{service * endpoints + number:016X}"
            left = endpoints - number
            chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
            heads.append(f":{jump} - [0:0]")
            rules.append(f'-A {chain} {told} -> {end}:8080" {chance}-j {jump}')
            rules.append(f'-A {jump} {told}" -s {end}/32 -j KUBE-MARK-MASQ')
            rules.append(f'-A {jump} {told}" -p tcp -m tcp -j DNAT --to-destination {end}:8080')
    return Table("\n".join(["*nat", *heads, *rules, "COMMIT", ""]), services)


_NFT = "ip kube-proxy"


def nft_table(services: int, endpoints: int, first: int = 0) -> Table:
    """Return the transaction of nftables mode: an element, a chain and a verdict map for each Service."""
    lines = [] if first else [
        f"add table {_NFT}",
        f"add chain {_NFT} nat-prerouting {{ type nat hook prerouting priority -100 ; }}",
        f"add chain {_NFT} mark-for-masquerade",
        f"add map {_NFT} service-ips {{ type ipv4_addr . inet_proto . inet_service : verdict ; }}",
        f"add rule {_NFT} nat-prerouting ip daddr . meta l4proto . th dport vmap @service-ips",
        f"add rule {_NFT} mark-for-masquerade mark set mark or 0x4000",
    ]  # fmt: skip
    for service in range(first, first + services):
        chain, address = f"service-{service:08X}-shop/service-{service}/tcp/http", _address(service, 96)
        marks = "ip saddr != 10.244.0.0/16 jump mark-for-masquerade"
        ends = range(service * endpoints, (service + 1) * endpoints)
        names = {end: f"endpoint-{end:08X}-shop/service-{service}/tcp/http__{_address(end, 200)}/8080" for end in ends}
        lines += [
            f"add chain {_NFT} {chain}",
            f"add rule {_NFT} {chain} ip daddr {address} tcp dport 80 {marks}",
        ]
        for end, name in names.items():
            lines += [
                f"add chain {_NFT} {name}",
                f"add rule {_NFT} {name} ip saddr {_address(end, 200)} jump mark-for-masquerade",
                f"add rule {_NFT} {name} meta l4proto tcp dnat to {_address(end, 200)}:8080",
            ]
        choice = ", ".join(f"{number} : goto {name}" for number, name in enumerate(names.values()))
        lines += [
            f"add rule {_NFT} {chain} numgen random mod {endpoints} vmap {{ {choice} }}",
            f"add element {_NFT} service-ips {{ {address} . tcp . 80 : goto {chain} }}",
        ]
    return Table("\n".join([*lines, ""]), services)


def measure_syncs(progress: Progress | None = None) -> tuple[dict[str, Price], tuple[str, ...]]:
    """Measure the figures ``tool.*`` of a cost profile that this machine has the tools for.

    Returns
    -------
    Prices in nanoseconds by figure, and why others are missing.

    Raises
    ------
    InputError
        Not root, not Linux, or no namespaces.
    """
    found: dict[str, Price] = {}
    missing: list[str] = []
    parts = (("iptables-legacy", _iptables), ("iptables-nft", _iptables), ("nft", _nftables))
    with Sandbox() as host:
        for number, (tool, part) in enumerate(parts):
            if progress is not None:
                progress(f"syncs of {tool}", number, len(parts))
            try:
                found.update(part(host, tool))
            except CommandError as error:
                missing.append(str(error))
    return found, tuple(missing)


def _iptables(host: Sandbox, tool: str) -> Iterator[tuple[str, Price]]:
    line, there = "tool.iptables_line", "tool.iptables_existing"
    if tool.endswith("nft"):
        line, there = "tool.iptables_nft_line", "tool.iptables_nft_existing"
    added = [tool, "-t", "nat", "-A", "KUBE-MARK-MASQ", "-j", "ACCEPT"]
    written, existing, start = [], [], 0.0
    for services, endpoints in ((1, 1), *SIZES):
        handle, table = host.namespace(), iptables_table(services, endpoints)
        wrote = cpu_ns(host, handle, [f"{tool}-restore"], table.text)
        change = cpu_ns(host, handle, added)
        host.release([handle])
        if services == 1:
            start = change
            continue
        written.append(max(0.0, wrote - start) / table.lines)
        existing.append(max(0.0, change - start) / table.lines)
    yield from ((line, _spread(written)), (there, _spread(existing)))
    if tool.endswith("nft"):
        yield "tool.start", Price(start, start / 2, 3 * start)


def _nftables(host: Sandbox, tool: str) -> Iterator[tuple[str, Price]]:
    written, listed, existing, tables, maps = [], [], [], [], []
    start, known, kernel = 0.0, load_profile("server").prices(), release(os.uname().release)
    for services, endpoints in ((1, 1), *SIZES):
        handle, table = host.namespace(), nft_table(services, endpoints)
        wrote = cpu_ns(host, handle, [tool, "-f", "-"], table.text)
        change = cpu_ns(host, handle, [tool, "-f", "-"], nft_table(1, endpoints, first=services).text)
        told = cpu_ns(host, handle, [tool, "list", "ruleset"])
        host.release([handle])
        if services == 1:
            start = change
            continue
        tables.append(table)
        maps.append(nft_maps_ns(full_size("nftables", services, services * endpoints), known, kernel))
        written.append(wrote - start)
        listed.append(told - start)
        existing.append(max(0.0, change - start) / table.lines)
    lines = [float(table.lines) for table in tables]
    line, factor = _fitted(written, lines, maps)
    yield "tool.nft_line", line
    for figure in ("tool.nft_walk", "tool.nft_walk_far", "tool.nft_pair", "tool.nft_check"):
        yield figure, Price(*(known[figure] * part for part in (factor.value, factor.low, factor.high)))
    yield from zip(
        ("tool.nft_list", "tool.nft_list_map"),
        _fitted(listed, lines, [float(table.services) ** 2 for table in tables]),
        strict=True,
    )
    yield "tool.nft_existing", _spread(existing)


def _spread(values: Sequence[float]) -> Price:
    return Price(statistics.median(values), min(values), max(values))


def _fitted(times: Sequence[float], first: Sequence[float], second: Sequence[float]) -> tuple[Price, Price]:
    """Return the prices of two counts that explain the times, each alike; the range is that of the misfit.

    A negative price means that its count explains nothing: the other then stands alone.
    """
    measured = np.array(times)
    counts = np.array([first, second]).T / measured[:, None]
    prices, *_ = np.linalg.lstsq(counts, np.ones(len(times)), rcond=None)
    for index in (0, 1):
        if prices[index] < 0:
            other = counts[:, 1 - index]
            prices[index], prices[1 - index] = 0.0, other.sum() / (other @ other)
    ratios = 1.0 / (counts @ prices)
    low, high = float(ratios.min()), float(ratios.max())
    one, two = (Price(float(p), float(p) * min(low, 1.0), float(p) * max(high, 1.0)) for p in prices)
    return one, two


def cpu_ns(host: Sandbox, handle: int, command: Sequence[str], text: str = "") -> float:
    """Return the CPU time of a command run in a namespace. Raises `CommandError`."""
    with tempfile.TemporaryFile("w+") as given, host.inside(handle):
        given.write(text)
        given.seek(0)
        try:
            process = subprocess.Popen(command, stdin=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except FileNotFoundError as error:
            raise CommandError(f"{command[0]} is not installed") from error
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise CommandError(f"{command[0]} refused a table like kube-proxy's")
    return (used.ru_utime + used.ru_stime) * 1e9

"""The cost profile of the measured machine: a YAML file that extends the shipped server profile.

Figures that were measured carry this kernel's value and interval. CPU figures that cannot be measured in namespaces
(the card, interrupts, OVS ...) are the server's times the *machine factor*, the geometric mean of measured over shipped
for the figures both know. Memory and waiting are left alone.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml

from netsim.calibration.kernel.derive import Calibration, Price
from netsim.calibration.kernel.hops import BASE
from netsim.calibration.kernel.measure import by_reason
from netsim.calibration.kernel.probes import ProbeName
from netsim.datapath.costs import CostProfile, Figure, load_profile

SOURCE, SHIPPED = "kernel", "server"
FIRST_CLASS = (
    "veth.packet", "bridge.packet", "bridge.gateway", "bridge.netfilter", "bridge.netfilter.gateway", "route.packet",
    "conntrack.packet", "conntrack.new", "nat.packet", "nat.none", "map.lookup",
)  # fmt: skip
"""Figures of a profile whose price is measured under the same name."""
SYSTEM_CALL_NS = 200.0
"""What one call of a batch is spared; added to the range of socket figures, which come from batches."""


class _Measured(NamedTuple):
    value: float
    low: float
    high: float
    note: str


def machine() -> str:
    """Return the kernel and the processor as a source would cite them."""
    model = _cpuinfo().get("model name", platform.machine())
    return f"{platform.system()} {platform.release()} on {model}"


def clock_ghz() -> float | None:
    """Return the clock the kernel reports, or ``None`` where it reports none (most ARM machines)."""
    megahertz = _cpuinfo().get("cpu MHz")
    return None if megahertz is None else round(float(megahertz) / 1000, 2)


def _cpuinfo() -> Mapping[str, str]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines)) if key}


def measured_figures(calibration: Calibration) -> dict[str, _Measured]:
    """Return the profile's figures that the calibration speaks about, in alphabetical order."""
    prices, repeat = calibration.prices, calibration.repeat
    found = {key: _figure([prices[key]], "") for key in FIRST_CLASS if key in prices}
    if tunnel := prices.get("tunnel.packet"):
        found |= dict.fromkeys(("encap.packet", "decap.packet"), _figure([tunnel], "half of one way through VXLAN"))
    for figure in ("netfilter.hook", "nat.new", "rule.port_match", "ipset.lookup"):
        variants = [f"{figure}.{backend}" for backend in ("iptables-legacy", "iptables-nft", "nftables")]
        some = [prices[key] for key in (*variants, *(f"{key}.UDP" for key in variants)) if key in prices]
        if some:
            found[figure] = _figure(some, "the first back-end the machine has; the range covers all of them")
    rules = [prices[key] for key in sorted(prices) if key.startswith(("rule.policy.", "rule.service."))]
    if rules:
        found["rule.established"] = _figure(rules, "an address compared; the range covers back-ends and service lists")
    for key in ("veth.packet", "route.packet", "encap.packet", "decap.packet", "conntrack.packet"):
        if key in found:
            low = min(found[key].low, repeat * found[key].value)
            found[key] = found[key]._replace(
                low=low, note=f"{found[key].note} low: met again by the same packet".strip()
            )
    return dict(sorted((found | dict(_sockets(calibration))).items()))


def _figure(prices: list[Price], note: str) -> _Measured:
    """Return the first price, with a range over all of them."""
    low, high = min(price.low for price in prices), max(price.high for price in prices)
    value = max(0.0, prices[0].value)
    return _Measured(value, max(0.0, min(low, value)), max(high, value), note)


def _sockets(calibration: Calibration) -> Iterator[tuple[str, _Measured]]:
    """Yield send, receive in softirq and receive, shared out like the shipped profile's.

    A batch of datagrams amortises the measuring program, so its base is the kernel's work for one datagram; TCP's is
    larger by the ratio of the request-response bases.
    """
    bases: dict[ProbeName, float] = {probe: own.prices[BASE].value for probe, own in calibration.by_probe.items()}
    if not {"udp_one_way", "udp_rr", "tcp_rr"} <= set(bases):
        return
    datagram = bases["udp_one_way"]
    totals = {"udp": datagram, "tcp": datagram * bases["tcp_rr"] / bases["udp_rr"]}
    shipped = load_profile(SHIPPED).prices(regime="hot_loop")
    for protocol, total in totals.items():
        keys = [f"{part}.{protocol}" for part in ("socket.send", "stack.receive", "socket.receive")]
        whole = math.fsum(shipped[key] for key in keys)
        for key in keys:
            value = total * shipped[key] / whole
            yield key, _Measured(value, 0.7 * value, 1.3 * value + SYSTEM_CALL_NS, "batch of datagrams, shared out")


def machine_factor(figures: Mapping[str, _Measured]) -> float:
    """Return how much slower this machine is than the shipped profile's: geometric mean over common hot figures."""
    shipped = load_profile(SHIPPED).prices(regime="hot_loop")
    both = [(figures[key].value, shipped[key]) for key in figures if key in FIRST_CLASS and figures[key].value > 0]
    if not both:
        return 1.0
    return math.exp(math.fsum(math.log(value / other) for value, other in both) / len(both))


def profile_document(
    calibration: Calibration, name: str, syncs: Mapping[str, Price] = MappingProxyType({})
) -> dict[str, Any]:
    """Return the profile as a YAML document that `netsim.datapath.costs.load_profile` reads.

    ``syncs`` are prices of the tools that write rules, measured beside the packets'.
    """
    figures, shipped = measured_figures(calibration), load_profile(SHIPPED)
    factor = machine_factor(figures)
    entries = {
        key: _entry(shipped.figures[key], figures[key]) if key in figures else _scaled(shipped.figures[key], factor)
        for key in shipped.figures
        if key in figures or _scales(shipped.figures[key])
    }
    for key, price in syncs.items():
        told = _Measured(price.value, price.low, price.high, "CPU time of the tool")
        entries[key] = {**_entry(shipped.figures[key], told), "measured": "in_place"}
    clock = clock_ghz() or round(shipped.clock_ghz / factor, 2)
    return {
        "name": name,
        "title": f"measured on {machine()}",
        "valid_for": f"this machine; figures that it cannot measure are those of {SHIPPED} times {factor:.2f}",
        "clock_ghz": clock,
        "extends": SHIPPED,
        "sources": {SOURCE: f"this machine's kernel, {machine()}, inline probes of netsim calibrate"},
        "figures": entries,
    }


def write_profile(
    calibration: Calibration, path: Path, syncs: Mapping[str, Price] = MappingProxyType({})
) -> CostProfile:
    """Write the profile, and read it back as users of it will."""
    skipped = [f"#   {reason}: {paths}" for reason, paths in by_reason(calibration.measurement.skipped).items()]
    head = [
        "# Written by netsim calibrate. Nanoseconds in a hot loop over one path; the regime figures scale them.",
        *(["# This machine could not build or drive:", *skipped] if skipped else []),
    ]
    document = profile_document(calibration, path.stem, syncs)
    text = yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True)
    path.write_text("\n".join(head) + "\n" + text, encoding="utf-8")
    return load_profile(str(path))


def _scales(figure: Figure) -> bool:
    return figure.scaling == "cpu" and figure.unit == "ns"


def _entry(figure: Figure, measured: _Measured) -> dict[str, Any]:
    estimate = {"source": SOURCE, **{key: _short(getattr(measured, key)) for key in ("value", "low", "high")}}
    if measured.note:
        estimate["note"] = measured.note
    return {"meaning": figure.meaning, "scaling": figure.scaling, "measured": "hot_loop", "estimates": [estimate]}


def _scaled(figure: Figure, factor: float) -> dict[str, Any]:
    estimates = [
        {
            "source": one.source,
            **{key: _short(factor * getattr(one, key)) for key in ("value", "low", "high")},
            "note": f"{SHIPPED} times {factor:.2f}",
        }
        for one in figure.estimates
    ]
    return {"meaning": figure.meaning, "scaling": figure.scaling, "measured": figure.measured, "estimates": estimates}


def _short(value: float) -> float:
    """Return four significant digits: more would claim too much."""
    return float(f"{value:.4g}")

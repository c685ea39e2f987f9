"""How far single hops' costs depart from a machine's common factor, from a calibration of another machine.

Run: python -m experiments.hop-transfer.spread calibration.json [--out FILE]

``calibration.json`` is what ``netsim calibrate --format json`` printed. Exit code 1 when the profile's range for work
that is moved between machines does not describe what was found.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

from experiments.records import Finding, show, write
from netsim.calibration.kernel.derive import NORMAL_90
from netsim.datapath.costs import load_profile

REFERENCE_NS = 2 * 3691
"""The reference exchange on the machine of ``netns``: there and back over one veth pair, system calls included."""
SOURCE = "netns"
HOPS = {
    "veth.packet": "veth.packet", "bridge.packet": "bridge.packet", "bridge.gateway": "bridge.gateway",
    "bridge.netfilter": "bridge.netfilter", "route.packet": "route.packet", "conntrack.packet": "conntrack.packet",
    "conntrack.new": "conntrack.new", "nat.packet": "nat.packet", "nat.new.iptables-legacy": "nat.new",
    "map.lookup": "map.lookup", "tunnel.packet": "encap.packet",
}  # fmt: skip
"""Measured hops by the figure of the profile that came from the same method. Empty hooks and single rules are within
their own noise on both machines, and are left out."""
NEAR = 0.1
"""What the mean of all hops may be off the reference, and what an end of the range may lie inside the spread."""


def departures(measured: Mapping[str, float], reference_ns: float) -> dict[str, float]:
    """Return each hop's factor over the reference's factor.

    Parameters
    ----------
    measured: nanoseconds a packet by hop, as `HOPS` names them.
    reference_ns: the reference exchange on the same machine.
    """
    figures = load_profile("server").figures
    known = {hop: next(e.value for e in figures[key].estimates if e.source == SOURCE) for hop, key in HOPS.items()}
    return {hop: measured[hop] / known[hop] / (reference_ns / REFERENCE_NS) for hop in HOPS if hop in measured}


def findings(found: Mapping[str, float], machine: float) -> list[Finding]:
    """Return what was found against the profile's range; ``machine`` is the reference's factor."""
    logarithms = [math.log(value) for value in found.values()]
    middle, spread = fmean(logarithms), stdev(logarithms)
    low, high = (math.exp(middle + sign * NORMAL_90 * spread) for sign in (-1, 1))
    stated = load_profile("server").figures["transfer.added_work"].chosen()
    ends = stated.low * (1 - NEAR) <= low and high <= stated.high * (1 + NEAR)
    hops = [Finding(hop, f"{value:.2f}", "printed", True) for hop, value in found.items()]
    return [
        Finding("factor of the reference", f"{machine:.2f}", "printed", True),
        *hops,
        Finding("mean of all hops", f"{math.exp(middle):.2f}", f"1 +-{NEAR}", abs(math.expm1(middle)) <= NEAR),
        Finding("90 % of hops", f"{low:.2f} to {high:.2f}", f"{stated.low} to {stated.high} +-{NEAR:.0%}", ends),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print and store the findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("calibration", type=Path, help="what netsim calibrate --format json printed")
    parser.add_argument("--out", type=Path, help="file for the record")
    asked = parser.parse_args(arguments)
    document = json.loads(asked.calibration.read_text(encoding="utf-8"))
    reference_ns = document["reference_s"] * 1e9
    measured = {hop: price["cost_s"] * 1e9 for hop, price in document["prices"].items()}
    found = findings(departures(measured, reference_ns), reference_ns / REFERENCE_NS)
    show(found)
    if asked.out is not None:
        write(asked.out, found, hops=len(HOPS), clock_ghz=document["clock_hz"] * 1e-9)
    return int(not all(finding.holds for finding in found))


if __name__ == "__main__":
    sys.exit(main())

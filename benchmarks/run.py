"""Speed as ratios: every round runs the naive model and the engine one after the other; the median ratio counts.

``python -m benchmarks.run [--rounds N] [--quick] [--peers DIR] [-o FILE]`` writes ``benchmarks/results.json``; with
``--check FILE`` it stores nothing and fails when a stored ratio to the naive model is more than a quarter too high.

The chain keeps its books (waits by station) in every run, so ``w1`` and ``w1-stats`` are one measurement each of the
same code.

Ratios to ns-3 are null without ``--peers`` (`benchmarks.peers`): its programs are not part of this project.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import blocking, engine, naive, peers, transaction, workloads

RESULTS = Path(__file__).with_name("results.json")
TOLERANCE = 0.25
TRANSACTIONS_FOR_S = 0.5


@dataclass(frozen=True)
class Row:
    """One case on one tool."""

    case: str
    tool: str
    mhops_per_s: float | None = None
    us_per_transaction: float | None = None
    events_per_transaction: float | None = None
    x_naive: float | None = None
    x_ns3: float | None = None


@dataclass(frozen=True)
class Case:
    """A workload at two sizes (the naive model is given less to do), and who runs it.

    ``peer`` is the workload's name for ns-3.
    """

    name: str
    hops: int
    large: Any
    small: Any
    fast: Callable[[Any], Callable[[], list[float]]]
    slow: Callable[[Any], Callable[[], list[float]]]
    peer: str


def cases(scale: float) -> list[Case]:
    """Return all packet cases; ``scale`` shrinks them."""

    def size(count: int) -> int:
        return int(count * scale)

    chain = workloads.w1(size(100_000)), workloads.w1(size(8_000))
    fabric = workloads.w2(size(60_000)), workloads.w2(size(6_000))
    closed = workloads.w3(size(96_000)), workloads.w3(size(9_600))
    return [
        Case("w1", 10, *chain, engine.open_loop, naive.open_loop, "w1"),
        Case("w1-stats", 10, *chain, engine.open_loop, naive.open_loop, "w1"),
        Case("w2", 8, *fabric, engine.open_loop, naive.open_loop, "w2"),
        Case("w3", 20, *closed, engine.closed_loop, naive.closed_loop, "w3"),
        Case("open-w1", 10, *chain, engine.vectorised, naive.open_loop, "w1"),
        Case("open-w2", 8, *fabric, engine.vectorised, naive.open_loop, "w2"),
        Case("every-hop", 10, workloads.w1(size(20_000)), chain[1], engine.every_hop, naive.open_loop, "w1"),
        Case("blocking", 10, workloads.w1(size(20_000)), chain[1], blocking.engine, blocking.naive, "w1"),
    ]


def _rate(build: Callable[[Any], Callable[[], list[float]]], work: Any, hops: int) -> float:
    """Return million packet-hops a second of CPU time, from the first event to the last."""
    run = build(work)
    began = time.process_time()
    done = run()
    return len(done) * hops / (time.process_time() - began) / 1e6


def packet_rows(case: Case, rounds: int, ns3: peers.Ns3 | None = None) -> list[Row]:
    """Run a packet case interleaved; first make sure that all give the same times."""
    if case.fast(case.small)() != case.slow(case.small)():
        raise AssertionError(f"{case.name}: the engine and the naive model differ")
    mean_ns = peers.mean_ns(case.large, case.fast(case.large)())
    turns = []
    for _ in range(rounds):
        slow, fast = _rate(case.slow, case.small, case.hops), _rate(case.fast, case.large, case.hops)
        turns.append((slow, fast, None if ns3 is None else ns3.rate(case.peer, case.large, mean_ns)))
    slow, fast = (statistics.median(turn[which] for turn in turns) for which in (0, 1))
    x_naive = statistics.median(fast / slow for slow, fast, _ in turns)
    to_ns3 = [(slow / peer, fast / peer, peer) for slow, fast, peer in turns if peer is not None]
    if not to_ns3:
        return [
            Row(case.name, "naive", mhops_per_s=round(slow, 4), x_naive=1.0),
            Row(case.name, "netsim", mhops_per_s=round(fast, 3), x_naive=round(x_naive, 2)),
        ]
    x_slow, x_fast, peer = (statistics.median(column) for column in zip(*to_ns3, strict=True))
    return [
        Row(case.name, "naive", mhops_per_s=round(slow, 4), x_naive=1.0, x_ns3=round(x_slow, 3)),
        Row(case.name, "ns3-lean", mhops_per_s=round(peer, 4), x_naive=round(1.0 / x_slow, 2), x_ns3=1.0),
        Row(case.name, "netsim", mhops_per_s=round(fast, 3), x_naive=round(x_naive, 2), x_ns3=round(x_fast, 2)),
    ]


def best_ratio(case: Case, rounds: int, enough: float) -> float:
    """Return the best ratio to the naive model of some rounds, of fewer when one is ``enough``: noise only slows."""
    best = 0.0
    for _ in range(rounds):
        slow = _rate(case.slow, case.small, case.hops)
        best = max(best, _rate(case.fast, case.large, case.hops) / slow)
        if best >= enough:
            break
    return best


def transaction_rows(rounds: int, duration_s: float, nodes: int = 1000) -> list[Row]:
    """Run full transactions interleaved."""
    model = transaction.scenario(nodes)
    transaction.fast(model, 0.05)
    pairs = [(transaction.naive(model, duration_s), transaction.fast(model, duration_s)) for _ in range(rounds)]
    rows = []
    for tool, which in (("naive", 0), ("netsim", 1)):
        per = [pair[which].seconds / len(pair[which].latency) * 1e6 for pair in pairs]
        ratio = statistics.median(pair[0].seconds / pair[which].seconds for pair in pairs)
        events = pairs[0][which].events / len(pairs[0][which].latency)
        us = round(statistics.median(per), 1)
        rows.append(Row("transaction", tool, None, us, round(events, 1), x_naive=round(ratio, 2)))
    return rows


def measure(rounds: int, scale: float, sources: Path | None = None) -> dict[str, Any]:
    """Run everything and return the document to store."""
    with tempfile.TemporaryDirectory() as directory:
        ns3 = None if sources is None else peers.build(sources, Path(directory))
        rows = [row for case in cases(scale) for row in packet_rows(case, rounds, ns3)]
    rows += transaction_rows(rounds, TRANSACTIONS_FOR_S * scale)
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "simpy": version("simpy"),
        "numpy": version("numpy"),
        "rounds": rounds,
        "rows": [asdict(row) for row in rows],
    }


def _processor() -> str:
    """Return what the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def contradictions(stored: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return the cases whose stored ratio to the naive model is more than a quarter too high."""
    known = {(row["case"], row["tool"]): row["x_naive"] for row in stored["rows"]}
    wrong = []
    for row in found["rows"]:
        before = known.get((row["case"], row["tool"]))
        if before and row["x_naive"] < before * (1.0 - TOLERANCE):
            wrong.append(f"{row['case']}: stored {before:g} x naive, found {row['x_naive']:g}")
    return wrong


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--peers", type=Path, help="a directory with the programs for ns-3 and their build.sh")
    parser.add_argument("--check", type=Path, help="compare with stored ratios instead of storing")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    found = measure(arguments.rounds, 0.1 if arguments.quick else 1.0, arguments.peers)
    for row in found["rows"]:
        speed = f"{row['mhops_per_s']} Mhops/s" if row["mhops_per_s"] else f"{row['us_per_transaction']} us"
        print(f"{row['case']:12s} {row['tool']:8s} {speed:>16s}  {row['x_naive']:g} x naive")
    if arguments.check is not None:
        wrong = contradictions(json.loads(arguments.check.read_text(encoding="utf-8")), found)
        print("\n".join(wrong) or "stored ratios hold")
        return int(bool(wrong))
    arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

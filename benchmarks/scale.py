"""How start, transactions and memory grow with the cluster; every measurement in a process of its own.

``python -m benchmarks.scale [-o FILE]`` measures `SIZES`. ``start_s`` is the CPU time from nothing (imports, cluster,
limits, offered load) to the first finished transaction of a run that follows a sample before a background;
``us_per_transaction`` is what a followed transaction costs after that, once without background (a hundred clients, as
in `benchmarks.transaction`) and once in such a run, where nearly every transaction is the first of its client and node.

``python -m benchmarks.scale --transactions N`` runs one whole replication of so many transactions, and one of half as
many, on the largest size with every client followed, as ``netsim run`` does it, and adds both to the file: CPU time,
peak memory, what records take of it, and how long a million would take at that pace.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SIZES = (10, 100, 1000, 5000)
PODS, SERVICES, RATE_PER_S = 30, 2, 0.1
"""Pods and Services a node, transactions a second and pod."""


def document(nodes: int, **run: Any) -> dict[str, Any]:
    """Return the scenario: every pod calls one Service, through policies and an overlay."""
    return {
        "name": "scale",
        "cluster": {"synthetic": {"nodes": nodes, "pods_per_node": PODS, "services": SERVICES * nodes, "policies": 8}},
        "network": {"plugin": "calico-vxlan"},
        "traffic": [
            {"from": "all", "to": "ns-2/service-12", "rate": f"{RATE_PER_S}/s", "response": "8KiB", "work": "20us"}
        ],
        "run": run,
    }


def measured(nodes: int) -> dict[str, Any]:
    """Measure one size, in a process that has done nothing else."""
    from benchmarks import transaction
    from netsim.engine.background.sampling import plan
    from netsim.engine.randomness.streams import Streams
    from netsim.engine.run import prepare
    from netsim.scenario import build
    from netsim.study.runner import model_of, reasons_against

    scenario = build(document(nodes))
    reasons_against(scenario)
    model, _ = model_of(scenario)
    streams = Streams(1, 0)
    chosen = plan(model, streams)
    network, traffic = prepare(model, streams, chosen)
    record = traffic.records()[0][0]
    while not record.finished:
        network.clock.step()
    start_s = time.process_time()
    megabytes = _peak_mb()
    network.clock.run(until=chosen.duration_s)
    sampled = (time.process_time() - start_s) / record.finished
    alone = transaction.scenario(nodes)
    transaction.fast(alone, 0.05)
    best = min((transaction.fast(alone, 0.3) for _ in range(3)), key=lambda outcome: outcome.seconds)
    return {
        "nodes": nodes, "pods": len(model.cluster.pods), "services": len(model.cluster.services),
        "start_s": round(start_s, 2), "start_mb": round(megabytes), "clients_followed": len(chosen.followed[0]),
        "us_per_transaction": round(best.seconds / len(best.latency) * 1e6, 1),
        "events_per_transaction": round(best.events / len(best.latency), 1),
        "us_per_transaction_before_background": round(sampled * 1e6, 1),
    }  # fmt: skip


def long_run(nodes: int, transactions: int) -> dict[str, Any]:
    """Measure a whole replication of so many transactions, in a process that has done nothing else."""
    from netsim.engine.run import run_replication
    from netsim.scenario import build
    from netsim.study.runner import model_of

    duration_s = transactions / (nodes * PODS * RATE_PER_S)
    model, _ = model_of(build(document(nodes, duration=f"{duration_s}s", clients="all")))
    built_s, built_mb = time.process_time(), _peak_mb()
    found = run_replication(model)
    seconds = time.process_time() - built_s
    finished = len(found.start_s)
    return {
        "nodes": nodes, "pods": len(model.cluster.pods), "services": len(model.cluster.services),
        "transactions": finished, "simulated_s": round(duration_s, 2),
        "build_s": round(built_s, 1), "run_s": round(seconds, 1),
        "us_per_transaction": round(seconds / finished * 1e6, 1), "events": found.events,
        "build_mb": round(built_mb), "peak_mb": round(_peak_mb()),
        "minutes_per_million": round(seconds / finished * 1e6 / 60.0, 1),
    }  # fmt: skip


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _in_process(*arguments: str) -> dict[str, Any]:
    """Run this module in a process of its own; return what it prints."""
    command = [sys.executable, "-m", "benchmarks.scale", *arguments]
    row: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(row)
    return row


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, help="measure this size in this process and print it")
    parser.add_argument("--transactions", type=int, help="measure a long run of so many, and of half as many")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_name("results-scale.json"))
    arguments = parser.parse_args()
    if arguments.nodes:
        count = arguments.transactions
        print(json.dumps(long_run(arguments.nodes, count) if count else measured(arguments.nodes)))
        return
    stored = json.loads(arguments.output.read_text(encoding="utf-8")) if arguments.output.exists() else {}
    if arguments.transactions:
        counts = arguments.transactions // 2, arguments.transactions
        stored["long_runs"] = [_in_process("--nodes", str(SIZES[-1]), "--transactions", str(each)) for each in counts]
    else:
        stored["sizes"] = [_in_process("--nodes", str(nodes)) for nodes in SIZES]
    arguments.output.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""How start and transactions grow with the cluster: ``python -m benchmarks.scale [-o FILE]``, one process a size.

``start_s`` is the CPU time from nothing (imports, cluster, limits, offered load) to the first finished transaction of a
run that follows a sample before a background; ``us_per_transaction`` is what a followed transaction costs after that,
once without background (a hundred clients, as in `benchmarks.transaction`) and once in such a run.
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
PODS, SERVICES = 30, 2
"""Pods and Services a node."""


def measured(nodes: int) -> dict[str, Any]:
    """Measure one size, in a process that has done nothing else."""
    from benchmarks import transaction
    from netsim.engine.background.sampling import plan
    from netsim.engine.randomness.streams import Streams
    from netsim.engine.run import prepare
    from netsim.scenario import build
    from netsim.study.runner import model_of, reasons_against

    document = {
        "name": "scale",
        "cluster": {"synthetic": {"nodes": nodes, "pods_per_node": PODS, "services": SERVICES * nodes, "policies": 8}},
        "network": {"plugin": "calico-vxlan"},
        "traffic": [{"from": "all", "to": "ns-2/service-12", "rate": "0.1/s", "response": "8KiB", "work": "20us"}],
    }
    scenario = build(document)
    reasons_against(scenario)
    model, _ = model_of(scenario)
    streams = Streams(1, 0)
    chosen = plan(model, streams)
    network, traffic = prepare(model, streams, chosen)
    record = traffic.records()[0][0]
    while not record.finished:
        network.clock.step()
    start_s = time.process_time()
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
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


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, help="measure this size in this process and print it")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_name("results-scale.json"))
    arguments = parser.parse_args()
    if arguments.nodes:
        print(json.dumps(measured(arguments.nodes)))
        return
    rows = []
    for nodes in SIZES:
        command = [sys.executable, "-m", "benchmarks.scale", "--nodes", str(nodes)]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(rows[-1])
    arguments.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

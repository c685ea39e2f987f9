"""Where the time of a full transaction goes: events by kind of station, calls and own time by function.

``python -m benchmarks.profile [--nodes N] [--top N]``. The profiler makes every call dearer, so its shares favour small
functions; the microseconds without it stand in the first lines.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
from collections import Counter

from benchmarks import transaction
from netsim.engine.network import Network


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--top", type=int, default=30)
    arguments = parser.parse_args()
    model = transaction.scenario(arguments.nodes)
    transaction.fast(model, 0.05)
    plain = transaction.fast(model, 0.5)
    count = len(plain.latency)
    whole = transaction.fast(model, 0.5, parts=True)
    print(f"{plain.seconds / count * 1e6:.0f} us and {plain.events / count:.1f} events a transaction, not profiled")
    print(f"{whole.seconds / count * 1e6:.0f} us where the parts of latencies are kept, as in every run of a scenario")
    networks: list[Network] = []
    profile = cProfile.Profile()
    profile.enable()
    transaction.run(model, 0.5, networks.append)
    profile.disable()
    events: Counter[str] = Counter()
    for station in networks[0].stations():
        events[type(station).__name__] += station.arrived
    for kind, number in events.most_common():
        print(f"{number / count:8.2f} events at {kind}")
    rows = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for (file, line, name), (_, calls, own_s, *_) in sorted(rows.items(), key=lambda row: -row[1][2])[: arguments.top]:
        print(f"{calls / count:8.2f} calls {own_s / count * 1e6:8.2f} us  {file.rsplit('/', 1)[-1]}:{line} {name}")


if __name__ == "__main__":
    main()

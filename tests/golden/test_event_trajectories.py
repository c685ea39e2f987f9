"""Reference scenarios keep their events: a digest of (time, station, kind) of everything that leaves a station.

The tables of `test_golden.py` could stay while bursts take another way to them; these digests could not.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import yaml

from netsim.engine.background.sampling import plan
from netsim.engine.queueing.burst import Burst
from netsim.engine.randomness.streams import Streams
from netsim.engine.run import prepare
from netsim.scenario import build
from netsim.study.runner import model_of

HERE = Path(__file__).parent
SCENARIOS = {
    **yaml.safe_load((HERE / "scenarios.yaml").read_text()),
    "failing": yaml.safe_load((HERE / "failing.yaml").read_text()),
}
KEPT = HERE / "events.json"
SPAN_S = 0.5


def trajectory(name: str) -> dict[str, Any]:
    """Play the first half second of a scenario; return how many bursts left a station, and the digest of all that."""
    digest, count = hashlib.sha256(), 0
    model, _ = model_of(build({"name": name, **SCENARIOS[name]}))
    streams = Streams(7, 0)
    network, _ = prepare(model, streams, plan(model, streams))
    clock = network.clock
    while clock.peek() < SPAN_S:
        now, _, _, burst = clock.lights[0]
        if not isinstance(burst, Burst):
            burst = getattr(burst, "__self__", None)
        if not isinstance(burst, Burst):
            clock.step()
            continue
        station, leg = burst.station, burst.legs[burst.index]
        before = station.left
        clock.step()
        if station.left > before:
            count += 1
            digest.update(struct.pack("<d", now))
            digest.update(f"{station.name}/{leg.__name__}\n".encode())
    if name != "failing":  # what a fault takes off a station leaves it without an event
        assert count == sum(station.left for station in network.stations())
    return {"events": count, "sha256": digest.hexdigest()[:32]}


@pytest.mark.parametrize("name", SCENARIOS)
def test_events_are_kept(name: str, request: pytest.FixtureRequest) -> None:
    found = trajectory(name)
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    if request.config.getoption("--update-golden"):
        kept = {**kept, name: found}
        KEPT.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    assert found == kept.get(name)
    assert found["events"] > 100

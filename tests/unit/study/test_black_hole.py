"""A run through a tunnel whose pods believe in too large an MTU says so, and its large transfers never end."""

from __future__ import annotations

import pytest

from netsim.scenario import build
from netsim.study.outcome import Measured
from netsim.study.runner import model_of, run_point


@pytest.mark.parametrize("mtu", [1500, "auto"])
def test_small_messages_pass_large_ones_stall_and_the_note_says_why(mtu: int | str) -> None:
    edge = {"from": "all", "rate": "20/s", "request": "100B", "connection": "keep-alive"}
    scenario = build({
        "cluster": {"synthetic": {"nodes": 3, "pods_per_node": 2, "services": 3}},
        "network": {"plugin": "flannel-vxlan", "mtu": mtu},
        "dns": {"lookups": "none"},
        "traffic": [
            {**edge, "to": "service-1", "name": "small", "response": "100B"},
            {**edge, "to": "service-1", "name": "large", "response": "64KiB"},
        ],
        "run": {"duration": "500ms", "warmup": "0ms", "clients": "all"},
    })  # fmt: skip
    told = [note.text for note in model_of(scenario)[1] if note.level == "warning"]
    assert [text for text in told if "MTU" in text] == (
        ["MTU black hole: the ends make packets of 1500 bytes, 1450 fit: small ones pass, large ones stall"]
        if mtu == 1500 else []
    )  # fmt: skip
    measured = run_point(scenario, seed=1, replication=0)
    assert isinstance(measured, Measured)
    missing = {each.name: each.value for each in measured.scalars if each.metric == "unfinished"}
    assert missing["small"] == 0.0
    assert missing["large"] > 0.3 if mtu == 1500 else missing["large"] == 0.0

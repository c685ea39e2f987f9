"""Memory of a run: what a recorded transaction takes, while the run goes on and at its peak."""

from __future__ import annotations

import tracemalloc

import pytest

from netsim.engine.model import Model
from netsim.engine.randomness import streams
from netsim.engine.run import run_replication
from netsim.scenario import build
from netsim.study.runner import model_of

MOST_BYTES = 64


def model(seconds: int) -> Model:
    """Return two nodes whose pods ask for something small 800 times a second, over connections they keep."""
    document = {
        "name": "memory",
        "cluster": {"synthetic": {"nodes": 2, "pods_per_node": 4}},
        "traffic": [
            {"from": "all", "to": "ns-8/service-80", "rate": "100/s", "response": "1KiB", "connection": "keep-alive"}
        ],
        "dns": {"lookups": "none"},
        "run": {"duration": f"{seconds}s", "clients": "all"},
    }
    return model_of(build(document))[0]


def measured(seconds: int) -> tuple[int, int, int]:
    """Return the transactions of a run, and the bytes it took at most and keeps."""
    asked = model(seconds)
    tracemalloc.start()
    try:
        found = run_replication(asked, parts=False)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return len(found.start_s), most, kept


def test_a_transaction_takes_no_more_than_64_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    # draws are made ahead, a few thousand a stream at most: here they would look like something a transaction takes
    monkeypatch.setattr(streams, "_LAST_BATCH", streams._FIRST_BATCH)
    run_replication(model(1))  # what is imported and compiled once
    (few, most, kept), (many, most_of_many, kept_of_many) = measured(2), measured(6)
    assert many - few > 3000
    assert kept_of_many - kept <= MOST_BYTES * (many - few)
    assert most_of_many - most <= MOST_BYTES * (many - few)

"""Whatever a scenario document says: it loads, or one `InputError` says why it does not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netsim.errors import InputError
from netsim.scenario import load, parse_assignments
from netsim.study import expand
from netsim.study.preflight import check

VALID: dict[str, Any] = {
    "name": "fuzzed",
    "question": "does it hold?",
    "cluster": {
        "synthetic": {"nodes": 2, "pods_per_node": 3, "services": 2, "namespaces": 1},
        "machine": {"cores": 4, "nic": "10Gbit/s", "mtu": 1500},
        "fabric": {"zones": 2, "link_latency": "1us"},
        "families": ["IPv4"],
        "cluster_cidr": "10.0.0.0/16",
    },
    "network": {"plugin": "flannel-vxlan", "proxy": "iptables", "costs": "server", "mtu": 1450},
    "dns": {"replicas": 1, "resolver": "musl", "loss": 0.1},
    "traffic": [
        {
            "from": "all", "to": "service-1", "rate": {"per_pod": "5/s"}, "request": "1KiB",
            "work": {"lognormal": {"median": "50us", "sigma": 0.5}},
            "then": [{"to": "service-2", "count": 2, "probability": 0.5}],
        },
        {"from": "external", "to": "service-2", "kind": "udp", "rate": "3/s", "closed": {"concurrency": 2}},
    ],
    "run": {"replications": 1, "transactions": 20, "precision": "5%", "duration": "1s"},
    "sweep": {"network.proxy": ["iptables", "ipvs"]},
    "slo": ["p99<5ms", "loss<0.1%"],
    "tolerances": {"default": "2%", "metrics": {"latency": "5%"}},
}  # fmt: skip

ODD = st.sampled_from(
    [
        None, True, False, 0, -1, 1, 7, 2**70, 0.5, float("nan"), float("inf"), "", " ", "x", "5", "5ms", "1e999s",
        "-3/s", "a\0b", "é", "%", "p99<5ms", "10.0.0.0/8", "::/0", "../..", [], [[]], [1, "a"], {}, {"a": 1},
        {1: 2}, {"": {}},
        {"exponential": "5us"}, {"uniform": ["9us", "1us"]}, {"per_pod": "1/s", "per_service": "1/s"}, "all",
        "external",
        "auto", "x" * 300, "service-1:http", "service-1:0", "a/b/c", "node/x",
    ]
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [inner for key, item in items for inner in [(*path, key), *places(item, (*path, key))]]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    document = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(document) or [()]))
        if not path:
            break
        target = document
        for key in path[:-1]:
            target = target[key]
        match draw(st.sampled_from(["replace", "delete", "add"])):
            case "delete":
                del target[path[-1]]
            case "add" if isinstance(target, dict):
                target[draw(st.text("abc_.[]0-", max_size=6))] = copy.deepcopy(draw(ODD))
            case _:
                target[path[-1]] = copy.deepcopy(draw(ODD))
    return document


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "scenario.yaml"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=mutated())
def test_a_mutated_scenario_loads_or_is_refused(file: Path, document: dict[str, Any]) -> None:
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    try:
        check(load(file))
    except InputError as error:
        assert str(error)
        assert "\n" not in str(error)


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.characters(codec="utf-8"), max_size=60) | st.text(":-[]{}&*!|>'\"%@`#, \n\tab0", max_size=40))
def test_any_text_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("text") / "scenario.yaml"
    path.write_text(f"cluster: {{synthetic: {{nodes: 2}}}}\n{text}", encoding="utf-8")
    try:
        expand(load(path))
    except InputError as error:
        assert str(path) in str(error)


@settings(max_examples=150, deadline=None)
@given(
    key=st.text("abcdefghijklmnoprstuvw.[]0", max_size=20)
    | st.sampled_from([".".join(map(str, path)) for path in places(VALID)]),
    value=st.text(max_size=15) | st.sampled_from(["5", "[1", "{a: b}", ".nan", "5ms", "null"]),
)  # fmt: skip
def test_any_assignment_is_taken_or_refused(file: Path, key: str, value: str) -> None:
    file.write_text(yaml.safe_dump(VALID), encoding="utf-8")
    try:
        load(file, parse_assignments([f"{key}={value}"]))
    except InputError as error:
        assert str(error)

"""``netsim capacity``: document, sentences, exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

KEYS = {"key", "value", "low", "high", "slo", "limited_by", "next", "what_if"}


@pytest.fixture
def question(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.yaml"
    document = {
        "name": "short-connections",
        "cluster": {"synthetic": {"nodes": 2, "pods_per_node": 2, "services": 1}, "machine": {"cores": 2}},
        "network": {"plugin": "flannel-host-gw", "conntrack_max": 16384},
        "dns": {"lookups": "none"},
        "traffic": [{"from": "all", "to": "service-1", "rate": "20/s", "work": "100us"}],
        "run": {"transactions": 400},
        "what_if": {"network.proxy": ["ipvs", "ebpf"], "traffic.connection": ["keep-alive"]},
        "slo": ["p90<5ms"],
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_document(netsim_command, question: Path) -> None:
    outcome = netsim_command("capacity", question, "--what-if", "--workers", 1, "--format", "json")
    assert outcome.code == 0, outcome.err
    document = outcome.document
    assert set(document) >= KEYS
    assert document["key"] == "traffic.rate"
    # 16,384 entries, 120 s each, two ends of 4 pods' connections on 2 nodes
    assert document["value"] == pytest.approx(16384 / (120 * 2 * 4 / 2), rel=2e-3)
    assert document["low"] <= document["value"] <= document["high"]
    assert document["limited_by"] | {"text": ""} == {
        "kind": "limit", "name": "conntrack entries", "utilization": pytest.approx(1.0, rel=2e-3), "text": "",
    }  # fmt: skip
    assert document["slo"][0].keys() >= {"figure", "objective", "value", "ci_low", "ci_high", "met"}
    assert document["slo"][0]["met"] is True
    assert document["next"]["value"] > document["value"]
    assert {row["change"] for row in document["what_if"]} == {"network.proxy=ipvs", "traffic.connection=keep-alive"}
    assert document["what_if"][0]["change"] == "traffic.connection=keep-alive"
    assert document["what_if"][0].keys() >= {"change", "figure", "ratio", "ci_low", "ci_high"}
    assert document["left_out"][0]["change"] == "network.proxy=ebpf"


def test_sentences(netsim_command, question: Path) -> None:
    outcome = netsim_command("capacity", question, "--slo", "p90<5ms", "--workers", 1, "--range", "1:40")
    assert outcome.code == 0
    assert "traffic.rate, largest that meets the objectives" in outcome.out
    assert "conntrack entries" in outcome.out
    assert "Headroom now" in outcome.out


def test_never_broken_in_the_range_is_an_answer(netsim_command, question: Path) -> None:
    outcome = netsim_command(
        "capacity", question, "--slo", "p90<1s", "--range", "1:30", "--workers", 1, "--format", "json"
    )
    assert outcome.code == 0
    assert outcome.document["outcome"] == "never broken in the range"
    assert (outcome.document["value"], outcome.document["high"]) == (30.0, None)


def test_cannot_be_met_is_an_answer_with_exit_1(netsim_command, question: Path) -> None:
    outcome = netsim_command("capacity", question, "--slo", "p50<50us", "--range", "10:20", "--workers", 1)
    assert outcome.code == 1
    assert "cannot be met" in outcome.out


def test_size_at_a_load(netsim_command, question: Path) -> None:
    outcome = netsim_command(
        "capacity", question, "--over", "cluster.nodes", "--set", "network.plugin=kubenet", "--set",
        "cluster.provider=azure", "--slo", "p50<1s", "--range", "390:", "--workers", 1, "--format", "json",
        "--set", "traffic.rate=1/s",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert outcome.document["value"] == 400
    assert outcome.document["limited_by"]["kind"] == "limit"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--over", "traffic.speed"],
        ["--over", "network.plugin"],
        ["--slo", "p99<5parsecs"],
        ["--slo", "dns.p99<5ms"],
        ["--range", "fast"],
        ["--range", "9:3"],
        ["--precision", "200%"],
        ["--set", "network.plugin=none-such"],
    ],
)
def test_mistakes_are_one_message_and_exit_2(netsim_command, question: Path, arguments: list[str]) -> None:
    outcome = netsim_command("capacity", question, "--workers", 1, *arguments)
    assert outcome.code == 2
    assert outcome.out == "" and "Traceback" not in outcome.err


@pytest.mark.slow
def test_a_real_application(netsim_command, shared: Path) -> None:
    source = shared / "inputs" / "apps" / "online-boutique.yaml"
    outcome = netsim_command(
        "capacity", source, "--slo", "p50<10ms", "--precision", "30%", "--budget", 3, "--range", "1:200", "--workers",
        1, "--format", "json", "--set", "run.transactions=300",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert outcome.document["present"] == 10.0
    assert outcome.document["value"] >= 10.0

"""Real manifests and dumps, and every plugin with every service mode: figures or a reason, never an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netsim import inspect, load, load_cluster
from netsim.datapath.plugin import combination, load_plugin, plugin_names

Command = Callable[..., Any]
TINY = ("--set", "run.replications=2", "--set", "run.transactions=60", "--workers", "1")
PROXIES = ("iptables", "ipvs", "nftables", "ebpf")
PLUGINS = ("kubenet", "flannel-vxlan", "calico-ipip", "cilium-vxlan")
INPUTS = {
    "online-boutique": ["online-boutique.yaml", "online-boutique-networkpolicies.yaml"],
    "bookinfo": ["bookinfo.yaml"],
    "guestbook": ["guestbook.yaml"],
    "kube-router": [f"list-kuberouter-{kind}.yaml" for kind in ("nodes", "pods", "services", "networkpolicy")],
    "minikube": [f"list-minikube-{kind}.json" for kind in ("nodes", "pods", "services")],
}


@pytest.fixture(params=INPUTS)
def real(request: pytest.FixtureRequest, shared: Path, tmp_path: Path) -> Path:
    """A scenario file around real manifests, and nothing else."""
    files = [str(shared / "inputs" / "apps" / name) for name in INPUTS[request.param]]
    path = tmp_path / "scenario.yaml"
    path.write_text(json.dumps({"name": request.param, "cluster": {"manifests": files}}))
    return path


@pytest.mark.parametrize("plugin", PLUGINS)
def test_real_inputs_give_figures(netsim_command: Command, real: Path, plugin: str) -> None:
    done = netsim_command("run", real, "--plugin", plugin, "--format", "json", *TINY)
    assert done.code == 0, done.err
    figures = {(row["scope"], row["metric"], row["stat"]): row for row in done.document["figures"]}
    latency = figures["scenario", "latency", "mean"]
    assert latency["ci_low"] <= latency["value"] <= latency["ci_high"]
    assert 1e-5 < latency["value"] < 0.1
    assert figures["scenario", "throughput", "mean"]["value"] > 0
    # in the kube-router dump nobody from outside is let in, where the plugin enforces policies
    denied = "kuberouter" in real.read_text()
    assert figures["scenario", "failed", "mean"]["value"] < (1.0 if denied else 1e-9)
    assert done.document["unmeasured"] == []


@pytest.mark.parametrize("plugin", PLUGINS)
def test_real_inputs_give_paths(netsim_command: Command, real: Path, plugin: str) -> None:
    cluster = load_cluster(real)
    pods = [pod.key for pod in cluster.pods]
    service = next(s for s in cluster.services if cluster.endpoints(s.key) and s.ports)
    for target in (pods[-1], f"{service.key}:{service.ports[0].port}", "external"):
        done = netsim_command(
            "inspect", "path", real, "--from", pods[0], "--to", target, "--plugin", plugin, "--format", "json"
        )
        assert done.code == 0, done.err
        document = done.document
        for way in (document["forward"], document["reverse"]):
            for packet in ("first", "established"):
                assert document.get("verdict", "") != "ACCEPT" or way[packet]["hops"]
                assert way[packet]["cost_s"] >= 0


def test_the_other_questions_about_real_inputs(netsim_command: Command, real: Path) -> None:
    for command in (["policy"], ["rules"], ["limits"]):
        done = netsim_command("inspect", *command, real, "--format", "json")
        assert done.code in (0, 1), done.err
        assert done.document
    done = netsim_command("inspect", "dns", real, "kube-dns.kube-system.svc.cluster.local", "--format", "json")
    assert done.document["result"] == "ANSWER"


def test_a_directory_of_dumps_is_one_cluster(netsim_command: Command, shared: Path, tmp_path: Path) -> None:
    for name in INPUTS["online-boutique"]:
        (tmp_path / name).write_bytes((shared / "inputs" / "apps" / name).read_bytes())
    done = netsim_command("run", tmp_path, "--plugin", "calico-vxlan", "--format", "json", *TINY)
    assert done.code == 0, done.err
    assert any("calls" in note for note in done.document["notes"])


# ------------------------------------------------------------------------------------------------ synthetic

SMALL = {
    "name": "matrix",
    "cluster": {"synthetic": {"nodes": 3, "pods_per_node": 4, "services": 3, "namespaces": 1}, "provider": "aws"},
    "traffic": [{"from": "all", "to": "service-1", "rate": "20/s"}],
    "run": {"replications": 1, "transactions": 40},
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text(json.dumps(SMALL))
    return path


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("plugin", plugin_names())
def test_every_plugin_with_every_service_mode(netsim_command: Command, small: Path, plugin: str, proxy: str) -> None:
    done = netsim_command("run", small, "--plugin", plugin, "--proxy", proxy, "--format", "json", "--workers", "1")
    reason = combination(load_plugin(plugin), proxy)
    if reason is None:
        assert done.code == 0, done.err
        assert any(row["metric"] == "latency" and row["value"] > 0 for row in done.document["figures"])
    else:
        assert done.code == 1
        [absent] = done.document["unmeasured"]
        assert absent["status"] == "impossible"
        assert absent["reason"] == reason


def test_what_cannot_exist_is_an_answer_in_words_too(netsim_command: Command, small: Path) -> None:
    done = netsim_command("run", small, "--plugin", "kubenet", "--proxy", "ebpf")
    assert done.code == 1
    assert "Cannot exist: " in done.out
    done = netsim_command(
        "run", small, "--plugin", "kubenet", "--set", "cluster.nodes=500", "--set", "cluster.provider=azure"
    )
    assert done.code == 1
    assert "400" in done.out


def test_overload_is_told_before_the_run_and_then_simulated(netsim_command: Command, small: Path) -> None:
    more = ("--set", "traffic.work=2ms", "--set", "traffic.rate=200/s", "--set", "traffic.connection=keep-alive")
    done = netsim_command("run", small, "--workers", "1", *more)
    first = done.err.splitlines()[0]
    assert first.startswith("warning: offered load above capacity: the CPU of ns-1/app-1 gets ")
    assert done.code == 0
    slow = netsim_command("run", small, "--workers", "1", "--format", "json", *more).document
    calm = netsim_command("run", small, "--workers", "1", "--format", "json").document
    p50 = [
        next(row["value"] for row in document["figures"] if (row["metric"], row["stat"]) == ("latency", "p50"))
        for document in (slow, calm)
    ]
    assert p50[0] > 10 * p50[1]
    assert any("offered load above capacity" in note for note in slow["notes"])


def test_a_service_without_endpoints_refuses(netsim_command: Command, tmp_path: Path) -> None:
    path = tmp_path / "app.yaml"
    path.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"
        'spec: {containers: [{name: c, image: x, env: [{name: DB, value: "db:5432"}]}]}\n'
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: db}\n"
        "spec: {selector: {app: db}, ports: [{port: 5432}]}\n"
    )
    done = netsim_command("run", path, "--format", "json", *TINY)
    assert done.code == 0, done.err
    assert done.err == "warning: default/db is called and has no endpoints: connections are refused\n"
    failed = next(r for r in done.document["figures"] if (r["scope"], r["metric"]) == ("scenario", "failed"))
    assert failed["value"] == 1.0
    report = inspect.path(load(path), "default/web", "default/db:5432")
    assert report.verdict == "REJECT"

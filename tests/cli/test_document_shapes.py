"""The JSON documents of ``netsim inspect``: the shapes others rely on, checked key by key on one application."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
NUMBER = (int, float)
APPLICATION = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: LoadBalancer
  sessionAffinity: ClientIP
  loadBalancerSourceRanges: [203.0.113.0/24]
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
status: {loadBalancer: {ingress: [{ip: 198.51.100.7}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: own, namespace: shop}
spec:
  podSelector: {}
  ingress: [{from: [{podSelector: {}}], ports: [{port: http}]}]
"""


class Every:
    """A mapping of any names to values of one shape."""

    def __init__(self, shape: Any) -> None:
        self.shape = shape


def mismatch(shape: Any, value: Any, at: str = "document") -> str:
    """Return where a value differs from a shape, empty when it fits: types, [one element], {exact keys}, Every."""
    if isinstance(shape, Every):
        parts = ((each, shape.shape, value[each]) for each in value) if isinstance(value, dict) else ()
        kind: Any = dict
    elif isinstance(shape, dict):
        if not isinstance(value, dict) or set(shape) != set(value):
            return f"{at}: {sorted(value) if isinstance(value, dict) else value}"
        parts, kind = ((key, shape[key], value[key]) for key in shape), dict
    elif isinstance(shape, list):
        parts = ((str(i), shape[0], each) for i, each in enumerate(value)) if isinstance(value, list) else ()
        kind = list
    else:
        wanted = shape if isinstance(shape, tuple) else (shape,)
        exact = type(value) in wanted
        return "" if exact else f"{at}: {value!r}"
    if not isinstance(value, kind):
        return f"{at}: {value!r}"
    return next((found for key, inner, each in parts if (found := mismatch(inner, each, f"{at}.{key}"))), "")


TABLE = Every(Every(bool))
HOP = {
    "hop": str, "node": str, "station": str, "cost_s": float, "latency_s": float, "bytes": int, "src": str, "dst": str,
}  # fmt: skip
WALK = {"nat_mean": NUMBER, "nat_worst": NUMBER, "filter_mean": NUMBER, "filter_worst": NUMBER}
RULES = {
    "iptables": {
        "nat_rules": int, "filter_rules": int, "nat_by_chain": Every(int), "filter_by_chain": Every(int),
    },
    "ipvs": {
        "virtual_servers": int, "real_servers": int, "ipset_entries": Every(int), "nat_rules": int,
        "filter_rules": int, "nat_by_chain": Every(int), "filter_by_chain": Every(int),
    },
    "ebpf": {"map_entries": Every(int)},
}  # fmt: skip


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("application") / "shop.yaml"
    file.write_text(APPLICATION)
    return file


@pytest.fixture
def ask(netsim_command: Command, application: Path) -> Callable[..., Any]:
    def asked(command: str, *options: str) -> Any:
        done = netsim_command("inspect", command, application, *options, "--format", "json")
        assert done.code in (0, 1), done.err
        assert done.err == ""
        return done.document

    return asked


def test_policy(ask: Callable[..., Any]) -> None:
    document = ask("policy", "--port", "8080/TCP")
    assert not mismatch({"port": str, "pods": [str], "allowed": TABLE, "egress": TABLE, "ingress": TABLE}, document)
    assert document["port"] == "8080/TCP"
    assert set(document["allowed"]) == set(document["pods"])
    assert document["allowed"]["shop/web-0"]["shop/web-1"]
    assert not document["allowed"]["kube-system/coredns-0"]["shop/web-1"]


@pytest.mark.parametrize("options", [(), ("--from", "shop/web-0", "--resolver", "musl"), ("--type", "SRV")])
def test_dns(ask: Callable[..., Any], options: tuple[str, ...]) -> None:
    document = ask("dns", "web.shop.svc.cluster.local", *options)
    shape = {
        "question": {"name": str, "type": str}, "rcode": str, "result": str,
        "answers": [{"name": str, "type": str, "ttl": int, "data": str}],
        "queries": [{"name": str, "type": str, "rcode": str}],
    }  # fmt: skip
    assert not mismatch(shape, {key: document[key] for key in shape})
    assert document["result"] == "ANSWER"
    assert document["answers"]
    assert document["queries"]


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables", "ebpf"])
def test_rules(ask: Callable[..., Any], mode: str) -> None:
    document = ask("rules", "--proxy", mode)
    assert document["mode"] == mode
    if mode in RULES:
        assert not mismatch(Every(RULES[mode]), document["nodes"])
    for counts in document["nodes"].values():
        if mode == "nftables":
            named = {key: counts[key] for key in ("chains", "rules", "elements")}
            assert not mismatch({"chains": int, "rules": int, "elements": Every(int)}, named)
    for entry in document["services"]:
        assert not mismatch(WALK, {key: entry["first_packet"][key] for key in WALK})
    assert [entry["service"] for entry in document["services"]] == ["shop/web:80"]


@pytest.mark.parametrize("target", ["shop/web-1", "shop/web:80", "external", "node/node-1"])
def test_path(ask: Callable[..., Any], target: str) -> None:
    document = ask("path", "--from", "shop/web-0", "--to", target, "--plugin", "calico-vxlan")
    assert (document["from"], document["to"]) == ("shop/web-0", target)
    for way in (document["forward"], document["reverse"]):
        for packet in ("first", "established"):
            assert way[packet]["hops"]
            hops = [{key: hop[key] for key in HOP} for hop in way[packet]["hops"]]
            assert not mismatch([HOP], hops)
            assert not mismatch({"cost_s": float, "one_way_s": float},
                                {key: way[packet][key] for key in ("cost_s", "one_way_s")})  # fmt: skip


def test_limits(ask: Callable[..., Any]) -> None:
    maybe = (int, float, type(None))
    row = {
        "name": str, "scope": str, "used": maybe, "limit": maybe, "unit": str, "reached_at": maybe, "then": str,
        "source": str,
    }  # fmt: skip
    document = ask("limits")
    assert not mismatch([row], [{key: each[key] for key in row} for each in document["limits"]])
    assert document["limits"]


EVERY = {"path": ("--from", "shop/web-0", "--to", "shop/web:80"), "dns": ("web",), "policy": (), "rules": (),
         "limits": ()}  # fmt: skip


@pytest.mark.parametrize("command", EVERY)
def test_every_question_takes_plugin_proxy_and_costs(
    netsim_command: Command, application: Path, command: str
) -> None:
    asked = ("inspect", command, application, *EVERY[command])
    done = netsim_command(*asked, "--plugin", "calico-ipip", "--proxy", "ipvs", "--costs", "server")
    assert done.code in (0, 1), done.err
    for wrong in (("--plugin", "none-such"), ("--proxy", "none-such"), ("--costs", "none-such")):
        refused = netsim_command(*asked, *wrong)
        assert refused.code == 2
        assert "none-such" in refused.err
        assert "Traceback" not in refused.err


def test_a_stated_plugin_that_enforces_no_policy_is_told(netsim_command: Command, application: Path) -> None:
    asked = ("inspect", "policy", application, "--format", "json")
    done = netsim_command(*asked, "--plugin", "flannel-vxlan")
    assert "flannel-vxlan enforces no NetworkPolicy" in done.err
    assert done.document == netsim_command(*asked).document
    assert netsim_command(*asked, "--plugin", "calico-ipip").err == ""


def test_rules_are_those_of_the_plugins_usual_proxy(ask: Callable[..., Any]) -> None:
    assert ask("rules", "--plugin", "cilium-vxlan")["mode"] == "ebpf"
    assert ask("rules", "--plugin", "calico-ipip")["mode"] == "iptables"


def test_the_check_can_fail() -> None:
    assert mismatch({"a": int}, {"a": "1"}) == "document.a: '1'"
    assert mismatch({"a": int}, {"b": 1})
    assert mismatch([{"a": bool}], [{"a": 1}])
    assert not mismatch(Every([str]), {"x": ["y"]})

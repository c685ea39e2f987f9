"""Who calls whom, concluded from texts of containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.inference import callers, infer_calls, infer_traffic, pods_of
from netsim.cluster.manifests import cluster_from_objects, load_cluster

SHARED = Path(__file__).parents[3].parent / "shared" / "inputs" / "apps"


def _service(name: str, namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": 6379}, {"port": 80, "name": "b"}], **spec}
    return {"kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def _client(container: dict[str, Any], name: str = "client", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", **container}], **spec}}
    return {"kind": "Deployment", "metadata": {"name": name, "namespace": "shop"}, "spec": {"template": template}}


def _cluster(*clients: dict[str, Any]) -> Cluster:
    extra = [_service("client"), _service("other", "back"), _service("heads", clusterIP="None")]
    config = {"host": "x", "main.conf": "listen_addr = redis:6379\nupstream: redis\n"}
    maps = [
        {"kind": "ConfigMap", "metadata": {"name": "conf", "namespace": "shop"}, "data": config},
        {
            "kind": "ConfigMap",
            "metadata": {"name": "vars", "namespace": "shop"},
            "data": {"DB_HOST": "redis", "DB_PORT": "80"},
        },
    ]
    return cluster_from_objects([*clients, _service("redis"), *extra, *maps], complete=True)


def _env(**values: str) -> dict[str, Any]:
    return {"env": [{"name": name, "value": value} for name, value in values.items()]}


REDIS = [("shop/redis", 6379)]


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        (_env(X="redis:6379"), REDIS),
        (_env(X="redis:6380"), []),
        (_env(X="redis"), []),
        (_env(REDIS_HOST="redis"), REDIS),
        (_env(redisHost="redis"), REDIS),
        (_env(REDIS_HOST="redis", REDIS_PORT="80"), [("shop/redis", 80)]),
        (_env(REDIS_HOST="redis", REDIS_PORT="81"), []),
        (_env(BACKENDS_ADDRS="redis:6379,client:80"), [("shop/redis", 6379), ("shop/client", 80)]),
        (_env(OTEL_SERVICE_NAME="redis"), []),
        (_env(LISTEN_ADDR="client:80", ADVERTISED_HOST="client"), []),
        (_env(URL="http://redis/path"), [("shop/redis", 80)]),
        (_env(URL="redis://:pw@redis"), REDIS),
        (_env(URL="tcp://redis:6379/x"), REDIS),
        (_env(X="redis.shop.svc.cluster.local:6379"), REDIS),
        (_env(X="redis.shop.svc"), REDIS),
        (_env(X="other.back:80"), [("back/other", 80)]),
        (_env(X="other:80"), []),
        (_env(X="redis.example.com:6379"), []),
        (_env(X="heads-0.heads:9999"), [("shop/heads", 6379)]),
        (_env(X="heads-0.heads.shop.svc.cluster.local"), [("shop/heads", 6379)]),
        (_env(NS="back", X="other.$(NS).svc:80"), [("back/other", 80)]),
        (_env(X="image redis:7.2"), []),
        ({"args": ["--replicaof", "redis"]}, REDIS),
        ({"args": ["--redis-addr=redis"]}, REDIS),
        ({"args": ["--name=redis", "--app", "redis"]}, []),
        ({"command": ["sh", "-c"], "args": ["until nc -z redis 6379; do sleep 1; done"]}, REDIS),
        ({"args": ["-h", "redis"]}, REDIS),
        ({"args": ["$(REDIS_SERVICE_HOST):6379"]}, REDIS),
        ({"command": ["redis-server"]}, []),
        ({"volumeMounts": [{"name": "v"}]}, REDIS),
        ({"envFrom": [{"configMapRef": {"name": "vars"}}]}, [("shop/redis", 80)]),
        ({"env": [{"name": "THE_HOST", "valueFrom": {"configMapKeyRef": {"name": "vars", "key": "DB_HOST"}}}]}, REDIS),
    ],
)  # fmt: skip
def test_texts(container: dict[str, Any], expected: list[tuple[str, int]]) -> None:
    volumes = [{"name": "v", "configMap": {"name": "conf", "items": [{"key": "main.conf", "path": "x"}]}}]
    cluster = _cluster(_client(container, volumes=volumes))
    assert [(call.service, call.port) for call in infer_calls(cluster)] == expected
    assert all(call.from_workload == "shop/client" and call.evidence for call in infer_calls(cluster))


def test_evidence_has_its_place(tmp_path: Path) -> None:
    path = tmp_path / "app.yaml"
    path.write_text(
        "kind: Service\nmetadata: {name: db}\nspec: {ports: [{port: 5432}]}\n---\n"
        "kind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - env: [{name: DB, value: 'db:5432'}]\n"
    )
    (call,) = infer_calls(load_cluster(path))
    assert (call.from_workload, call.service, call.evidence) == ("default/web", "default/db", "DB=db:5432")
    assert (call.place.file, call.place.line, call.place.field) == (str(path), 5, "env:DB")
    notes = infer_traffic(load_cluster(path)).notes
    assert any(note.code == "no-endpoints" and "default/db" in note.text for note in notes)


def test_sidecars_speak_and_init_containers_do_not() -> None:
    plain = _cluster(_client({}, initContainers=[{"name": "wait", **_env(X="redis:6379")}]))
    assert infer_calls(plain) == ()
    sidecar = _cluster(
        _client({}, initContainers=[{"name": "proxy", "restartPolicy": "Always", **_env(X="redis:6379")}])
    )
    assert len(infer_calls(sidecar)) == 1


def test_assumptions_are_marked() -> None:
    clients = [_client({}, name) for name in ("client", "redis", "third", "fourth")]
    traffic = infer_traffic(_cluster(*clients))
    assert all(call.assumed for call in traffic.calls)
    assert {call.service for call in traffic.calls} == {"shop/client", "shop/redis"}
    assert len({call.from_workload for call in traffic.calls}) == len(traffic.calls) == 4
    assert all(call.from_workload != call.service for call in traffic.calls)
    assert any(note.code == "traffic-assumed" for note in traffic.notes)


def test_entry_points_are_called_from_outside() -> None:
    cluster = cluster_from_objects([_client({}), _service("client", type="LoadBalancer")], complete=True)
    (call,) = infer_traffic(cluster).calls
    assert (call.from_workload, call.service, call.port) == ("external", "shop/client", 6379)


def test_bare_pods_call_in_turn() -> None:
    pods = [
        {
            "kind": "Pod",
            "metadata": {"name": f"p{n}", "labels": {"app": "redis" if n else "none"}},
            "spec": {"containers": []},
        }
        for n in range(3)
    ]
    service = {**_service("redis"), "metadata": {"name": "redis"}}
    cluster = cluster_from_objects([*pods, service], complete=True)
    (call,) = infer_traffic(cluster).calls
    assert (call.from_workload, call.service) == ("default/p0", "default/redis")
    assert [pod.name for pod in pods_of(cluster, "default/p0")] == ["p0"]
    assert "kube-system/coredns" in callers(cluster)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared inputs are not here")
def test_online_boutique() -> None:
    calls = infer_calls(load_cluster(SHARED / "online-boutique.yaml"))
    edges = {(call.from_workload.partition("/")[2], call.service.partition("/")[2]) for call in calls}
    assert len(edges) == len(calls) == 16
    assert {service for caller, service in edges if caller == "checkoutservice"} == {
        "productcatalogservice", "shippingservice", "paymentservice", "emailservice", "currencyservice", "cartservice",
    }  # fmt: skip
    assert ("loadgenerator", "frontend") in edges
    assert ("cartservice", "redis-cart") in edges

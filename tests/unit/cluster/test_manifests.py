"""Clusters from manifests and dumps: what is read, defaulted, counted once, and refused."""

# ruff: noqa: E501 (an object or a case on one line)

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.defaults import Defaults, with_defaults
from netsim.cluster.manifests import cluster_from_objects, load_cluster
from netsim.cluster.service_rules import categorize, service_tables
from netsim.errors import InputError

SHARED = Path(__file__).parents[3].parent / "shared" / "inputs" / "apps"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the shared inputs are not here")


def _load(tmp_path: Path, text: str, name: str = "x.yaml", **options: Any) -> Cluster:
    path = tmp_path / name
    path.write_text(text)
    return load_cluster(path, **options)


def _meta(name: str, namespace: str = "shop", **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, **more}


def _deployment(name: str, replicas: int = 1, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i:1"}], **spec}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(name),
        "spec": {"replicas": replicas, "template": template},
    }


def _service(name: str, **spec: Any) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(name), "spec": spec}


def _owned(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"apiVersion": "apps/v1", "kind": kind, "name": name, "controller": True}]


# ------------------------------------------------------------------------------------------------ whole inputs


@needs_shared
def test_every_shared_input_loads_or_is_refused() -> None:
    index = {entry["file"]: entry for entry in json.loads((SHARED / "INDEX.json").read_text())["files"]}
    for path in sorted(SHARED.iterdir()):
        entry = index.get(path.name)
        if entry is None or "objects" not in entry:
            continue
        if path.name.startswith("allfields"):
            with pytest.raises(InputError, match=r"spec\.type"):
                load_cluster(path)
            continue
        stated, cluster = Counter(entry["objects"]), load_cluster(path, complete=False)
        kinds = Counter(workload.kind for workload in cluster.workloads if not path.name.startswith("pod-real"))
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicationController"):
            assert kinds[kind] == stated[kind], path.name
        assert len(cluster.services) == stated["Service"]
        assert len(cluster.policies) == stated["NetworkPolicy"]
        assert len(cluster.nodes) == stated["Node"]
        complete = load_cluster(path)
        assert complete.nodes
        assert complete.endpoints(complete.dns_service)
        assert all(pod.node in complete.node_index and pod.addresses for pod in complete.pods)


@needs_shared
def test_dual_stack_dump_is_kept() -> None:
    cluster = load_cluster(*(SHARED / f"list-kuberouter-{part}.yaml" for part in ("nodes", "pods", "services")))
    assert [node.addresses[0] for node in cluster.nodes] == ["10.241.0.20", "10.241.0.21"]
    assert cluster.pods_by_key["default/whoami-nflzk"].addresses == ("10.242.1.4", "2001:db8:42:1001::4")
    assert cluster.services_by_key["default/whoami"].cluster_ips == ("10.96.243.193", "2001:db8:42:1::bd90")
    assert cluster.cluster_cidrs == ("10.242.0.0/16", "2001:db8:42::/48")
    used = [address for pod in cluster.pods for address in pod.addresses]
    assert len(used) == len(set(used)) == 8


@needs_shared
def test_invalid_lists_are_refused(tmp_path: Path) -> None:
    for number, case in enumerate(json.loads((SHARED / "invalid_lists.json").read_text())["cases"]):
        for suffix in ("json", "yaml"):
            with pytest.raises(InputError) as caught:
                _load(tmp_path, case["input"], f"{number}.{suffix}")
            assert caught.value.place.file.endswith(f"{number}.{suffix}"), case["what"]


# ------------------------------------------------------------------------------------------------ owners


def test_deployment_its_replica_set_and_pods_are_one_workload() -> None:
    replica_set = {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": _meta("web-5d9", ownerReferences=_owned("Deployment", "web")),
        "spec": _deployment("web", 2)["spec"],
    }  # fmt: skip
    old = {
        **replica_set,
        "metadata": _meta("web-1aa", ownerReferences=_owned("Deployment", "web")),
        "spec": {**replica_set["spec"], "replicas": 0},
    }
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": _meta(f"web-5d9-{n}", labels={"app": "web"}, ownerReferences=_owned("ReplicaSet", "web-5d9")), "spec": {"containers": []}}
        for n in "ab"
    ]  # fmt: skip
    cluster = cluster_from_objects([*pods, old, replica_set, _deployment("web", 2)])
    assert [(w.kind, w.name) for w in cluster.workloads] == [("Deployment", "web")]
    assert [pod.name for pod in cluster.pods] == ["web-5d9-a", "web-5d9-b"]
    assert {(pod.template.owner_kind, pod.template.owner) for pod in cluster.pods} == {("Deployment", "web")}
    assert cluster.pods[0].template is cluster.pods[1].template

    without_deployment = cluster_from_objects([old, replica_set])
    assert [(w.kind, w.name, w.replicas) for w in without_deployment.workloads] == [("Deployment", "web", 2)]
    assert len(without_deployment.pods) == 2


def test_pods_alone_tell_their_deployment() -> None:
    labels = {"app": "web", "pod-template-hash": "5d9"}
    pod = {
        "kind": "Pod",
        "metadata": _meta("web-5d9-x", labels=labels, ownerReferences=_owned("ReplicaSet", "web-5d9")),
        "spec": {},
    }
    static = {
        "kind": "Pod",
        "metadata": _meta("etcd-m", ownerReferences=_owned("Node", "m")),
        "spec": {"nodeName": "m"},
    }
    cluster = cluster_from_objects([pod, static])
    assert [(w.kind, w.name, w.replicas) for w in cluster.workloads] == [("Deployment", "web", 1)]
    assert cluster.pods_by_key["shop/etcd-m"].template.owner == ""


def test_stateful_set_pods_have_names_and_hostnames() -> None:
    db = {**_deployment("db", 2), "kind": "StatefulSet"}
    db["spec"] = {**db["spec"], "serviceName": "db"}
    cluster = cluster_from_objects([db, _service("db", clusterIP="None")], complete=True)
    endpoints = cluster.endpoints("shop/db")
    assert [endpoint.hostname for endpoint in endpoints] == ["db-0", "db-1"]


def test_ended_pods_and_unready_ones() -> None:
    def pod(name: str, **status: Any) -> dict[str, Any]:
        return {"kind": "Pod", "metadata": _meta(name), "spec": {"nodeName": "n"}, "status": status}

    not_ready = {"conditions": [{"type": "Ready", "status": "False"}], "phase": "Running"}
    cluster = cluster_from_objects(
        [pod("done", phase="Succeeded"), pod("a", **not_ready), pod("b", phase="Pending"), pod("c", phase="Running")]
    )
    assert {p.name: p.ready for p in cluster.pods} == {"a": False, "b": False, "c": True}
    assert any(note.code == "pods-ended" for note in cluster.notes)


def test_daemon_sets_follow_nodes() -> None:
    nodes = [
        {"kind": "Node", "metadata": {"name": "m"}, "spec": {"taints": [{"key": "master", "effect": "NoSchedule"}]}},
        {"kind": "Node", "metadata": {"name": "w1"}, "spec": {"unschedulable": True}},
        {"kind": "Node", "metadata": {"name": "w2"}},
    ]
    agent = {**_deployment("agent"), "kind": "DaemonSet"}
    cluster = cluster_from_objects([*nodes, agent])
    assert [pod.node for pod in cluster.pods] == ["w1", "w2"]
    everywhere = {**_deployment("agent", tolerations=[{"operator": "Exists"}], hostNetwork=True), "kind": "DaemonSet"}
    cluster = cluster_from_objects([*nodes, everywhere])
    assert [pod.node for pod in cluster.pods] == ["m", "w1", "w2"]
    assert [pod.addresses for pod in cluster.pods] == [node.addresses for node in cluster.nodes]


# ------------------------------------------------------------------------------------------------ services


def test_service_defaults() -> None:
    objects = [
        _service("a"),
        _service("np", type="NodePort", ports=[{"port": 53, "protocol": "UDP", "name": "u"}, {"port": 53, "name": "t"}, {"port": 80, "name": "w", "nodePort": 30086}]),
        _service("lb", type="LoadBalancer", externalTrafficPolicy="Local", sessionAffinity="ClientIP"),
        _service("bare", type="LoadBalancer", allocateLoadBalancerNodePorts=False),
        _service("kept", clusterIP="10.96.0.2"),
        _service("headless", clusterIP="None"),
        {"kind": "Service", "metadata": _meta("out"), "spec": {"type": "ExternalName", "externalName": "db.example.com."}},
    ]  # fmt: skip
    cluster = cluster_from_objects(objects)
    services = {service.name: service for service in cluster.services}
    assert services["a"].cluster_ips == ("10.96.0.3",)
    assert services["a"].ports[0].target_port == 80
    assert services["kept"].cluster_ips == ("10.96.0.2",)
    assert services["headless"].headless
    assert [port.node_port for port in services["np"].ports] == [30087, 30087, 30086]
    assert services["lb"].affinity_s == 10800.0
    assert services["lb"].health_check_node_port is not None
    assert services["lb"].load_balancer_ips == ()
    assert services["bare"].ports[0].node_port is None
    assert (services["out"].external_name, services["out"].cluster_ips) == ("db.example.com", ())


def test_dual_stack_services_make_the_cluster_dual_stack() -> None:
    both = _service("both", ipFamilyPolicy="RequireDualStack")
    cluster = cluster_from_objects([both, _service("one"), _deployment("both")], complete=True)
    assert len(cluster.pods_by_key["shop/both-0"].addresses) == 2
    assert [len(cluster.services_by_key[f"shop/{name}"].cluster_ips) for name in ("both", "one")] == [2, 1]
    assert [endpoint.address.count(":") > 0 for endpoint in cluster.endpoints("shop/both")] == [False, True]


def test_slices_win_over_endpoints_and_selectors() -> None:
    def slice_(name: str, address: str) -> dict[str, Any]:
        return {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": _meta(name, labels={"kubernetes.io/service-name": "a"}), "ports": [{"port": 8080, "name": "w"}],
            "endpoints": [{"addresses": [address], "nodeName": "n", "conditions": {"ready": None}, "hints": {"forZones": [{"name": "z"}]}, "targetRef": {"kind": "Pod", "name": "p", "namespace": "shop"}}],
        }  # fmt: skip

    endpoints = {
        "kind": "Endpoints",
        "metadata": _meta("a"),
        "subsets": [{"addresses": [{"ip": "10.0.0.9"}], "ports": [{"port": 1}]}],
    }
    other = {
        **endpoints,
        "metadata": _meta("b"),
        "subsets": [
            {"addresses": [{"ip": "192.0.2.1"}], "notReadyAddresses": [{"ip": "192.0.2.2"}], "ports": [{"port": 5432}]}
        ],
    }
    cluster = cluster_from_objects(
        [_service("a"), endpoints, other, slice_("a-1", "10.0.0.1"), slice_("a-2", "10.0.0.2")]
    )
    assert [e.address for e in cluster.endpoints("shop/a")] == ["10.0.0.1", "10.0.0.2"]
    assert (
        cluster.endpoints("shop/a")[0].pod,
        cluster.endpoints("shop/a")[0].zone_hints,
        cluster.endpoints("shop/a")[0].ready,
    ) == ("shop/p", ("z",), True)
    assert [(e.address, e.ready) for e in cluster.slices["shop/b"]] == [("192.0.2.1", True), ("192.0.2.2", False)]


def test_conditions_that_a_slice_does_not_state_hold_and_proxies_use_the_first_address() -> None:
    ends = [
        {"addresses": ["10.0.0.1", "10.0.0.9"]},
        {"addresses": ["10.0.0.2"], "conditions": {"ready": False, "terminating": True}},
        {"addresses": ["10.0.0.3"], "conditions": {"ready": False, "serving": False, "terminating": True}},
    ]
    listed = {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": ends,
        "metadata": _meta("a-1", labels={"kubernetes.io/service-name": "a"}), "ports": [{"port": 8080, "name": "w"}],
    }  # fmt: skip
    cluster = cluster_from_objects([_service("a", ports=[{"port": 80, "name": "w"}]), listed])
    found = cluster.endpoints("shop/a")
    assert [(e.address, e.ready, e.serving, e.terminating, e.further) for e in found] == [
        ("10.0.0.1", True, True, False, False),
        ("10.0.0.9", True, True, False, True),
        ("10.0.0.2", False, True, True, False),
        ("10.0.0.3", False, False, True, False),
    ]
    served = service_tables(cluster)[0].ports[0]
    assert [end.address for end in categorize(served, "", "").cluster] == ["10.0.0.1"]


# ------------------------------------------------------------------------------------------------ defaults and DNS


def test_incomplete_load_holds_only_what_is_given() -> None:
    cluster = cluster_from_objects([_deployment("web", 2), _service("web")])
    assert (cluster.nodes, len(cluster.services), len(cluster.pods)) == ((), 1, 2)
    complete = with_defaults(cluster, Defaults(nodes=2, dns_replicas=3))
    assert (len(complete.nodes), len(complete.pods)) == (2, 5)
    assert complete.services_by_key["kube-system/kube-dns"].cluster_ips == ("10.96.0.10",)
    assert len(complete.endpoints("kube-system/kube-dns")) == 3
    assert {"nodes-default", "dns-service", "dns-pods"} <= {note.code for note in complete.notes}
    assert with_defaults(complete) == complete


@pytest.mark.parametrize("selector", [{"k8s-app": "kube-dns"}, {}])
def test_dns_service_without_pods_gets_them(selector: dict[str, str]) -> None:
    dns = _service(
        "kube-dns",
        selector=selector,
        ports=[{"port": 53, "protocol": "UDP", "name": "dns", "targetPort": "dns"}],
        clusterIP="172.20.0.10",
    )
    dns["metadata"] = _meta("kube-dns", "kube-system")
    cluster = cluster_from_objects([dns], complete=True)
    assert [endpoint.ports[0].port for endpoint in cluster.endpoints("kube-system/kube-dns")] == [53, 53]
    assert cluster.service_cidrs == ("172.20.0.0/16",)


def test_corefiles_domain_and_flags() -> None:
    corefile = ".:53 {\n    kubernetes k8s.example in-addr.arpa\n}\n"
    manager = {
        "kind": "Pod", "metadata": _meta("kube-controller-manager-m", "kube-system"),
        "spec": {"hostNetwork": True, "nodeName": "m", "containers": [{"command": ["kcm", "--cluster-cidr=10.32.0.0/12", "--service-cluster-ip-range=10.80.0.0/16"]}]},
    }  # fmt: skip
    maps = [
        {"kind": "ConfigMap", "metadata": _meta("coredns", "kube-system"), "data": {"Corefile": corefile}},
        {"kind": "ConfigMap", "metadata": _meta("node-local-dns", "kube-system"), "data": {"Corefile": "local"}},
    ]
    cluster = cluster_from_objects([*maps, manager], complete=True)
    assert (cluster.corefile, cluster.node_local_corefile, cluster.cluster_domain) == (corefile, "local", "k8s.example")
    assert (cluster.cluster_cidrs, cluster.service_cidrs) == (("10.32.0.0/12",), ("10.80.0.0/16",))
    assert cluster.services_by_key["kube-system/kube-dns"].cluster_ips == ("10.80.0.10",)


def test_nodes_that_only_pods_name() -> None:
    def pod(name: str, node: str, address: str) -> dict[str, Any]:
        return {"kind": "Pod", "metadata": _meta(name), "spec": {"nodeName": node}, "status": {"podIP": address}}

    cluster = cluster_from_objects(
        [pod("a", "n1", "10.1.1.7"), pod("b", "n2", "10.1.2.7"), pod("c", "n2", "10.1.2.8")], complete=True
    )
    assert [(node.name, node.pod_cidrs) for node in cluster.nodes] == [
        ("n1", ("10.1.1.0/24",)),
        ("n2", ("10.1.2.0/24",)),
    ]
    mixed = cluster_from_objects([pod("a", "n1", "10.1.1.7"), pod("b", "n2", "10.1.1.8")], complete=True)
    assert all(node.pod_cidrs for node in mixed.nodes)
    assert len({address for pod_ in mixed.pods for address in pod_.addresses}) == len(mixed.pods)


def test_flat_addresses_on_many_nodes_without_ranges() -> None:
    nodes = [{"kind": "Node", "metadata": {"name": f"n{index}"}} for index in range(300)]
    pods = [
        {
            "kind": "Pod",
            "metadata": _meta(f"p{index}"),
            "spec": {"nodeName": f"n{index}"},
            "status": {"podIP": f"192.168.0.{index}"},
        }
        for index in range(1, 200)
    ]
    cluster = cluster_from_objects([*nodes, *pods, _deployment("web", 600)], complete=True)
    addresses = [address for pod in cluster.pods for address in pod.addresses]
    assert len(addresses) == len(set(addresses)) == 801
    assert cluster.cluster_cidrs == ("192.168.0.0/15",)


def test_default_nodes_carry_the_labels_that_are_asked_for() -> None:
    objects = [_deployment("fast", nodeSelector={"disk": "ssd"}), _deployment("slow", nodeSelector={"disk": "hdd"})]
    cluster = cluster_from_objects(objects, complete=True)
    for pod in cluster.pods:
        node = cluster.nodes[cluster.node_index[pod.node]]
        assert pod.template.node_selector.items() <= node.labels.items()


def test_ignored_kinds_are_counted_one_note_a_kind(tmp_path: Path) -> None:
    text = "\n---\n".join(
        ["kind: Role\nmetadata: {name: 'system:x'}"] * 3
        + ["apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: s}"]
    )
    cluster = _load(tmp_path, text)
    assert [note.text for note in cluster.notes if note.level == "ignored"] == [
        "3 Role objects ignored",
        "1 Service.serving.knative.dev object ignored",
    ]
    assert len(cluster.services) == 1


def test_directories_skip_what_is_not_kubernetes(tmp_path: Path) -> None:
    (tmp_path / "app.json").write_text(json.dumps(_deployment("web")))
    (tmp_path / "again.yaml").write_text(json.dumps(_deployment("web", 3)))
    (tmp_path / "values.yaml").write_text("replicas: 3\n")
    cluster = load_cluster(tmp_path)
    assert [workload.replicas for workload in cluster.workloads if workload.name == "web"] == [1]
    assert {"object-replaced", "file-ignored"} <= {note.code for note in cluster.notes}


# ------------------------------------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("text", "line", "field", "got"),
    [
        ("kind: Pod\nmetadata: {}", 2, "metadata.name", ""),
        ("kind: Pod\nmetadata: {name: Web_1}", 2, "metadata.name", "Web_1"),
        ("kind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: 70000", 5, "spec.ports[0].port", "70000"),
        ("kind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - protocol: ICMP\n    port: 1", 5, "spec.ports[0].protocol", "ICMP"),
        ("kind: Service\nmetadata: {name: a}\nspec:\n  clusterIP: 10.0.0.300", 4, "spec.clusterIP", "10.0.0.300"),
        ("kind: Service\nmetadata: {name: a}\nspec:\n  selector:\n    a: 1", 5, "spec.selector[a]", "1"),
        ("kind: Node\nmetadata: {name: a}\nspec:\n  podCIDR: 10.0.0.0/40", 4, "spec.podCIDR", "10.0.0.0/40"),
        ("kind: Deployment\nmetadata: {name: a}\nspec:\n  replicas: -1\n  template: {spec: {}}", 4, "spec.replicas", "-1"),
        ("kind: Deployment\nmetadata: {name: a}\nspec:\n  replicas: 1", 3, "spec.template", "None"),
        ("kind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - env:\n    - name: X\n      value: 5", 7, "spec.containers[0].env[0].value", "5"),
        ("kind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - resources:\n      requests: {cpu: lots}", 6, "spec.containers[0].resources.requests.cpu", "lots"),
        ("kind: List\nitems:\n- kind: Pod\n  metadata: {name: ok}\n- kind: Pod\n  metadata:\n    name: a\n    labels: [1]", 8, "metadata.labels", "[1]"),
        ("metadata: {name: a}", 1, "kind", ""),
    ],
)  # fmt: skip
def test_wrong_objects_are_told_with_their_place(tmp_path: Path, text: str, line: int, field: str, got: str) -> None:
    with pytest.raises(InputError) as caught:
        _load(tmp_path, text)
    error = caught.value
    assert (error.place.line, error.place.field, error.got) == (line, field, got)
    assert error.allowed
    assert error.place.file.endswith("x.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no Kubernetes object"),
        ("# nothing\n---\n", "no Kubernetes object"),
        ("- a\n- b\n", "not an object"),
        ("just text", "not an object"),
        ("kind: Kustomization\nresources: [a.yaml]", "kubectl kustomize"),
        ("kind: Service\nmetadata:\n  name: '{{ .Release.Name }}-web'", "helm template"),
        (
            "kind: Deployment\nmetadata: {name: a}\nspec:\n  selector: {matchLabels: {a: b}}\n  template: {metadata: {labels: {a: c}}}",
            "does not match",
        ),
    ],
)
def test_inputs_that_are_no_cluster(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _load(tmp_path, text)


def test_zero_nodes_and_full_ranges(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a node"):
        cluster_from_objects([_service("a")], defaults=Defaults(nodes=0), complete=True)
    with pytest.raises(InputError, match=r"node-1 has 9 pods and its range 10\.0\.0\.0/29 5 pod addresses"):
        cluster_from_objects(
            [_deployment("a", 7)],
            defaults=Defaults(nodes=1, cluster_cidrs=("10.0.0.0/16",), node_masks={"IPv4": 29}),
            complete=True,
        )
    with pytest.raises(InputError, match="no such file"):
        load_cluster(tmp_path / "missing")

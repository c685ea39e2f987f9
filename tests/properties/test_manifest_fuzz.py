"""Mutated manifests and dumps: either a cluster or one clear message, never a traceback."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netsim.cluster.cluster import Cluster
from netsim.cluster.inference import infer_traffic
from netsim.cluster.manifests import load_cluster
from netsim.cluster.scaling import ScaleRule, scale
from netsim.errors import InputError

EXAMPLES = 2400
OBJECTS: tuple[dict[str, Any], ...] = tuple(
    yaml.safe_load("""
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web}
  spec:
    replicas: 2
    selector: {matchLabels: {app: web}}
    template: &template
      metadata: {labels: {app: web}}
      spec: &spec
        containers:
        - name: main
          image: registry.example/app:1
          args: [--backend-addr, db]
          env:
          - {name: DB_ADDR, value: "db:5432"}
          - {name: NS, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
          ports: [{name: http, containerPort: 8080}]
          resources: {requests: {cpu: 100m, memory: 64Mi}}
          volumeMounts: [{name: conf, mountPath: /etc/app}]
        volumes: [{name: conf, configMap: {name: app}}]
        nodeSelector: {kubernetes.io/os: linux}
        tolerations: [{key: gpu, operator: Exists}]
        dnsConfig: {options: [{name: ndots, value: "2"}]}
- apiVersion: apps/v1
  kind: StatefulSet
  metadata: {name: db}
  spec: {serviceName: db, replicas: 2, template: *template}
- apiVersion: apps/v1
  kind: DaemonSet
  metadata: {name: agent, namespace: kube-system}
  spec: {template: *template}
- apiVersion: v1
  kind: Pod
  metadata: {name: p, ownerReferences: [{kind: ReplicaSet, name: web-1, controller: true}]}
  spec: {nodeName: n1, <<: *spec}
  status: {phase: Running, podIPs: [{ip: 10.1.0.9}], conditions: [{type: Ready, status: "True"}]}
- apiVersion: v1
  kind: Service
  metadata: {name: db}
  spec: {clusterIP: None, selector: {app: web}, ports: [{port: 5432, targetPort: http}]}
- apiVersion: v1
  kind: Service
  metadata: {name: web}
  spec:
    type: LoadBalancer
    selector: {app: web}
    externalTrafficPolicy: Local
    ports: [{name: http, port: 80, nodePort: 30100}]
  status: {loadBalancer: {ingress: [{ip: 192.0.2.7}]}}
- apiVersion: v1
  kind: Node
  metadata: {name: n1, labels: {kubernetes.io/os: linux}}
  spec: {podCIDRs: [10.1.0.0/24], taints: [{key: gpu, effect: NoSchedule}]}
  status:
    capacity: {cpu: "8", memory: 16Gi, pods: "110"}
    addresses: [{type: InternalIP, address: 192.0.2.1}]
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: db-1, labels: {kubernetes.io/service-name: db}}
  addressType: IPv4
  ports: [{port: 5432}]
  endpoints: [{addresses: [10.1.0.9], conditions: {ready: true}, targetRef: {kind: Pod, name: p}}]
- apiVersion: v1
  kind: Endpoints
  metadata: {name: web}
  subsets: [{addresses: [{ip: 10.1.0.9}], ports: [{port: 8080, name: http}]}]
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: deny}
  spec: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: app}
  data: {app.conf: "server db:5432\n"}
- apiVersion: v1
  kind: Namespace
  metadata: {name: default, labels: {team: a}}
- apiVersion: v1
  kind: ServiceAccount
  metadata: {name: web}
""")
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
LIKELY: st.SearchStrategy[Any] = st.sampled_from(
    ["", "None", "db", "10.1.0.9", "10.1.0.0/24", "fd00::1", "65535", 0, 1, 3, 80, True, None, {}, []]
)
SETTINGS = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)  # fmt: skip


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (container, key) of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a few objects, change something in one of them, write them in one of the usual forms."""
    objects = [
        copy.deepcopy(obj) for obj in draw(st.lists(st.sampled_from(OBJECTS), min_size=1, max_size=5, unique_by=id))
    ]
    kinds = ("add", "add", "likely", "delete", "delete", "number", "copy", "replace")
    for _ in range(draw(st.integers(0, 2))):
        where, key = draw(st.sampled_from(list(_places(draw(st.sampled_from(objects))))))
        kind = draw(st.sampled_from(kinds))
        if kind == "add" and isinstance(where, dict):
            where[draw(st.text("abcxyz", min_size=4, max_size=8))] = draw(JSON)
        elif kind == "likely":
            where[key] = draw(LIKELY)
        elif kind == "delete":
            del where[key]
        elif kind == "number" and isinstance(where[key], int):
            where[key] = draw(st.integers(0, 40))
        elif kind == "copy" and isinstance(where, list):
            where.append(copy.deepcopy(where[key]))
        elif kind == "replace":
            where[key] = draw(JSON)
    form = draw(st.sampled_from(["documents", "list", "json"]))
    if form == "documents":
        text = yaml.safe_dump_all(objects, allow_unicode=draw(st.booleans()))
    else:
        whole = {"apiVersion": "v1", "kind": "List", "items": objects}
        text = json.dumps(whole, indent=1) if form == "json" else yaml.safe_dump(whole)
    if draw(st.integers(0, 11)) == 0:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.text(max_size=3)) + text[at + draw(st.integers(0, 4)) :]
    return text, "json" if form == "json" else "yaml"


def _check(cluster: Cluster) -> None:
    """A cluster that was accepted is whole: everything placed, no address twice."""
    assert all(pod.node in cluster.node_index for pod in cluster.pods)
    addresses = [address for pod in cluster.pods if not pod.template.host_network for address in pod.addresses]
    twice = {address for address, count in Counter(addresses).items() if count > 1}
    stated = {"10.1.0.9", "fd00::1"}
    assert twice <= stated
    assert all(service.cluster_ips for service in cluster.services if service.type != "ExternalName")


@pytest.mark.slow
def test_only_a_cluster_or_one_message(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    outcomes: Counter[str] = Counter()

    @SETTINGS
    @given(mutated())
    def run(case: tuple[str, str]) -> None:
        text, suffix = case
        path = tmp_path / f"x.{suffix}"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            cluster = load_cluster(path)
        except InputError as error:
            outcomes["refused"] += 1
            str(error).encode()
            assert error.place.file == str(path) or error.place.field or "no node fits" in error.message
            return
        outcomes["accepted"] += 1
        _check(cluster)
        infer_traffic(cluster)
        if outcomes["accepted"] % 10 == 0:
            _check(scale(cluster, 5, ScaleRule(services="proportional" if outcomes["accepted"] % 20 else "fixed")))

    run()
    print(f"manifests: {outcomes['accepted']} accepted of {outcomes.total()}")
    record_property("accepted", outcomes["accepted"])
    assert outcomes.total() >= 2000
    assert outcomes["accepted"] >= outcomes.total() / 2


def test_any_text_is_refused_or_read(tmp_path: Path) -> None:
    @settings(SETTINGS, max_examples=300)
    @given(
        st.text(alphabet="{}[]:,-&*!|>'\"#% \n\tabk1.", max_size=60) | st.binary(max_size=40),
        st.sampled_from(["json", "yaml"]),
    )
    def run(text: str | bytes, suffix: str) -> None:
        path = tmp_path / f"x.{suffix}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(InputError):
            load_cluster(path)

    run()

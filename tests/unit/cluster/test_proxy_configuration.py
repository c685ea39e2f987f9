"""kube-proxy's own configuration in a dump: kept for counts, answers and the mode a run uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netsim import inspect, load
from netsim.cluster.configurations import KubeletFacts, ProxyFacts
from netsim.cluster.defaults import Defaults, with_defaults
from netsim.cluster.manifests import cluster_from_objects
from netsim.datapath.build import datapath_of, proxy_of
from netsim.errors import InputError

SERVICE = {
    "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]},
}  # fmt: skip
SLICE = {
    "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
    "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
    "endpoints": [{"addresses": ["10.244.0.9"]}], "ports": [{"port": 8080}],
}  # fmt: skip


def config_map(text: str) -> dict[str, Any]:
    metadata = {"name": "kube-proxy", "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config.conf": text}}


def configuration(**fields: Any) -> dict[str, Any]:
    return config_map(json.dumps({"kind": "KubeProxyConfiguration", **fields}))


def facts(**fields: Any) -> ProxyFacts | None:
    return cluster_from_objects([SERVICE, configuration(**fields)]).proxy


def test_what_is_read() -> None:
    assert facts(clusterCIDR="10.244.0.0/16") == ProxyFacts("iptables", ("10.244.0.0/16",))
    assert facts(mode="ipvs", clusterCIDR="10.0.0.0/8,fd00::/48", iptables={"masqueradeAll": True}) == ProxyFacts(
        "ipvs", ("10.0.0.0/8", "fd00::/48"), masquerade_all=True
    )
    assert facts(mode="nftables", detectLocalMode="BridgeInterface", nodePortAddresses=["192.168.0.0/24"]) == (
        ProxyFacts("nftables", None, node_port_addresses=("192.168.0.0/24",))
    )
    assert facts(mode="kernelspace", iptables={"localhostNodePorts": False}) == ProxyFacts(
        "", (), localhost_node_ports=False
    )


@pytest.mark.parametrize("text", ["", "a: [", "kind: Other", "just text", "kind: 2024-99-99"])
def test_what_is_none(text: str) -> None:
    assert cluster_from_objects([SERVICE, config_map(text)]).proxy is None
    assert cluster_from_objects([SERVICE]).proxy is None


def test_a_wrong_field_is_told() -> None:
    with pytest.raises(InputError, match=r"kube-system/kube-proxy, config.conf: iptables.masqueradeAll: not a boolean"):
        facts(iptables={"masqueradeAll": "yes"})


def dump(folder: Path, **fields: Any) -> Path:
    file = folder / "dump.json"
    file.write_text(json.dumps({"kind": "List", "items": [SERVICE, SLICE, configuration(**fields)]}))
    return file


def test_counts_follow_it(tmp_path: Path) -> None:
    """Without a range that tells pods there is no masquerade line for off-cluster clients."""
    known: Any = inspect.rules(load(dump(tmp_path, clusterCIDR="10.244.0.0/16"))).to_dict()
    unknown: Any = inspect.rules(load(dump(tmp_path, clusterCIDR=""))).to_dict()
    assert [each["nodes"]["node-1"]["nat_rules"] for each in (known, unknown)] == [5 + 8, 5 + 7]


def test_the_mode_is_kept_where_the_plugin_can_have_it(tmp_path: Path) -> None:
    scenario = load(dump(tmp_path, mode="ipvs"))
    assert proxy_of(scenario) == datapath_of(scenario).proxy == "ipvs"
    assert inspect.rules(scenario).mode == "ipvs"
    asked = load(tmp_path / "dump.json", {"network.proxy": "nftables"})
    assert proxy_of(asked) == datapath_of(asked).proxy == "nftables"
    own = load(tmp_path / "dump.json", {"network.plugin": "cilium-native"})
    assert proxy_of(own) == "ebpf"


# ------------------------------------------------------------------------------------------------ objects of their own

BARE = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}
KUBELET = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}


def test_a_configuration_file_beside_the_manifests_is_read_and_wins() -> None:
    assert cluster_from_objects([SERVICE, BARE | {"mode": "ipvs"}]).proxy == ProxyFacts("ipvs", ())
    both = cluster_from_objects([BARE | {"mode": "ipvs"}, SERVICE, configuration(mode="nftables")])
    assert both.proxy is not None and both.proxy.mode == "ipvs"
    assert not any("KubeProxyConfiguration" in note.text for note in both.notes)
    with pytest.raises(InputError, match="nodePortAddresses"):
        cluster_from_objects([SERVICE, BARE | {"nodePortAddresses": "all"}])


@pytest.mark.parametrize("kept", ["object", "ConfigMap"])
def test_what_kubelets_are_told(kept: str) -> None:
    fields = {"maxPods": 40, "clusterDomain": "corp.example.", "hairpinMode": "none"}
    stated: dict[str, Any] = KUBELET | fields
    if kept == "ConfigMap":
        metadata = {"name": "kubelet-config", "namespace": "kube-system"}
        data = {"kubelet": json.dumps(stated)}
        stated = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    cluster = cluster_from_objects([SERVICE, stated])
    assert cluster.kubelet == KubeletFacts(40, "corp.example", "none")
    assert cluster.cluster_domain == "corp.example"
    assert {node.max_pods for node in with_defaults(cluster).nodes} == {40}
    assert {node.max_pods for node in with_defaults(cluster, Defaults(max_pods=250)).nodes} == {250}


def test_a_hairpin_mode_that_does_not_exist_is_told() -> None:
    with pytest.raises(InputError, match="hairpinMode"):
        cluster_from_objects([KUBELET | {"hairpinMode": "sometimes"}])

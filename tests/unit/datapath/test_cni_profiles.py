"""Profiles out of CNI configurations: which legs, and what the configuration states besides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netsim import inspect, load, load_cluster
from netsim.cluster.cni.network import TokenBucket
from netsim.datapath.build import datapath_of, impossible
from netsim.datapath.firewall import FirewallWalk
from netsim.datapath.plugin import Plugin, load_plugin
from netsim.errors import InputError

PODS = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {kubernetes.io/egress-bandwidth: 2M}}
    spec: {containers: [{name: web, image: web, ports: [{containerPort: 80, hostPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
SHAPED = {"type": "bandwidth", "capabilities": {"bandwidth": True}}
RANGE = {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]]}


def write(folder: Path, *plugins: dict[str, Any], name: str = "10-net.conflist") -> Path:
    file = folder / name
    file.write_text(json.dumps({"cniVersion": "0.4.0", "name": "net", "plugins": plugins}))
    return file


def profile(folder: Path, *plugins: dict[str, Any], node_mtu_bytes: int = 1500) -> Plugin:
    return load_plugin(str(write(folder, *plugins)), node_mtu_bytes)


def egress(plugin: Plugin) -> list[str]:
    return [step.hop for step in plugin.legs_for(plugin.usual_proxy).egress]


@pytest.mark.parametrize(
    ("first", "shipped"),
    [
        ({"type": "flannel"}, "flannel-vxlan"),
        ({"type": "calico", "mtu": 1480}, "calico-ipip"),
        ({"type": "calico", "mtu": 1450}, "calico-vxlan"),
        ({"type": "calico", "mtu": 1500}, "calico-bgp"),
        ({"type": "cilium-cni"}, "cilium-vxlan"),
        ({"type": "aws-cni", "mtu": "9001"}, "aws-vpc"),
        ({"type": "azure-vnet", "mode": "transparent"}, "azure"),
        ({"type": "azure-vnet", "mode": "bridge"}, "kubenet"),
        ({"type": "antrea", "mtu": 1450}, "antrea-geneve"),
        ({"type": "cni-kindnet"}, "aws-vpc"),
        ({"type": "ptp", "ipam": RANGE}, "aws-vpc"),
        ({"type": "bridge", "bridge": "cbr0", "isGateway": True, "ipam": RANGE}, "kubenet"),
        ({"type": "bridge", "bridge": "kube-bridge", "isGateway": True}, "kube-router"),
        ({"type": "bridge", "ipam": RANGE}, "bridge-l2"),
    ],
)
def test_the_legs_of_a_chain(first: dict[str, Any], shipped: str, tmp_path: Path) -> None:
    found, expected = profile(tmp_path, first, {"type": "portmap"}), load_plugin(shipped)
    assert found.legs == expected.legs
    assert found.usual_proxy == expected.usual_proxy


def test_what_the_chain_states_replaces_what_the_profile_assumes(tmp_path: Path) -> None:
    bridge = {"type": "bridge", "isGateway": True, "ipMasq": True, "ipam": RANGE}
    found = profile(tmp_path, bridge, {"type": "tuning", "mtu": 1400}, SHAPED)
    assert (found.mtu_bytes, found.bandwidth, found.masquerade) == (1400, "tbf", "outside-node")
    assert (found.families, found.routes_in_cloud) == (("IPv4",), False)
    limited = {"type": "bandwidth", "ingressRate": 8000, "ingressBurst": 16000}
    assert profile(tmp_path, bridge, limited).pod_ingress == TokenBucket(8000, 16000)
    assert profile(tmp_path, {"type": "calico", "mtu": 1480}).bandwidth == "none"
    assert profile(tmp_path, {"type": "calico", "mtu": 8980}, node_mtu_bytes=9000).encapsulation == (
        load_plugin("calico-ipip").encapsulation
    )


def test_a_stated_mtu_is_of_no_use_beyond_the_nodes(tmp_path: Path) -> None:
    found = profile(tmp_path, {"type": "aws-cni", "mtu": "9001"})
    assert (found.pod_mtu_bytes(9001), found.pod_mtu_bytes(1500)) == (9001, 1500)


def test_flannels_own_files_beside(tmp_path: Path) -> None:
    write(tmp_path, {"type": "flannel"}, name="10-flannel.conflist")
    (tmp_path / "net-conf.json").write_text('{"Network": "10.244.0.0/16", "Backend": {"Type": "host-gw"}}')
    assert load_plugin(str(tmp_path)).legs == load_plugin("flannel-host-gw").legs


@pytest.mark.parametrize("first", [{"type": "macvlan", "master": "eth0"}, {"type": "loopback"}, {"type": "homemade"}])
def test_a_network_without_hops_is_refused(first: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no profile for"):
        profile(tmp_path, first)
    report = inspect.cni(write(tmp_path, first)).to_dict()
    assert report["profile"]["name"] is None


def scenario(folder: Path, *plugins: dict[str, Any], **cluster: Any) -> Path:
    (folder / "pods.yaml").write_text(PODS)
    write(folder, *plugins)
    file = folder / "scenario.yaml"
    document = {"cluster": {"manifests": "pods.yaml", **cluster}, "network": {"plugin": "10-net.conflist"}}
    file.write_text(json.dumps(document))
    return file


def test_the_firewalls_chain_grows_with_the_pods_of_a_node(tmp_path: Path) -> None:
    """To a pod of another node a new connection meets all of its lines, an established one half of them."""
    bridge = {"type": "bridge", "isGateway": True, "ipam": {"type": "host-local"}}
    file = scenario(tmp_path, bridge, {"type": "firewall"})
    datapath = datapath_of(load(file))
    cluster = datapath.cluster
    ends = [index for index, pod in enumerate(cluster.pods) if pod.namespace == "default"][:2]
    forward, _ = datapath.paths(datapath.connection(*ends))
    walks = [crossing.hop for crossing in forward.crossings if isinstance(crossing.hop, FirewallWalk)]
    lines = 2 * len(cluster.pods) / len(cluster.nodes)
    assert [(walk.first, walk.established) for walk in walks] == [
        (2 + (lines + 1) / 2, 2 + (lines + 1) / 2), (2 + lines, 2 + (lines + 1) / 2),
    ]  # fmt: skip


def test_a_changed_plugin_takes_nothing_along_that_was_worked_out_before() -> None:
    shipped = load_plugin("flannel-vxlan")
    assert shipped.legs_for("iptables") != load_plugin("flannel-host-gw").legs_for("iptables")
    changed = shipped.changed(legs=load_plugin("flannel-host-gw").legs, encapsulation=None)
    assert changed.legs_for("iptables") == load_plugin("flannel-host-gw").legs_for("iptables")


def test_the_bridges_own_masquerade_hides_pods_from_other_nodes(tmp_path: Path) -> None:
    """ip.SetupIPMasq spares the network of the pod's own address only: the node's range."""
    bridge = {"type": "bridge", "isGateway": True, "ipMasq": True, "ipam": {"type": "host-local"}}
    loaded = load(scenario(tmp_path, bridge))
    cluster = load_cluster(tmp_path / "scenario.yaml")
    node = {pod.key: cluster.nodes[cluster.node_index[pod.node]].addresses[0] for pod in cluster.pods}
    far = inspect.path(loaded, "default/web-0", "default/web-1").to_dict()
    seen = far["forward"]["first"]["hops"][-1]["src"]
    assert seen.startswith(node["default/web-0"])
    back = far["reverse"]["first"]["hops"][-1]
    assert back["dst"].startswith(cluster.pods_by_key["default/web-0"].addresses[0])


def test_a_chain_of_one_family_cannot_serve_a_dual_stack_cluster(tmp_path: Path) -> None:
    families = ["IPv4", "IPv6"]
    single = scenario(tmp_path, {"type": "bridge", "isGateway": True, "ipam": RANGE}, families=families)
    assert "gives pods no IPv6 address" in str(impossible(load(single))[0].text)
    ranges = [[{"subnet": "10.244.0.0/24"}], [{"subnet": "fd00:10:244::/64"}]]
    both = {"type": "host-local", "ranges": ranges}
    dual = scenario(tmp_path, {"type": "bridge", "isGateway": True, "ipam": both}, families=families)
    assert impossible(load(dual)) == ()


def test_a_pods_part(tmp_path: Path) -> None:
    cluster = load_cluster(scenario(tmp_path, {"type": "flannel"}))
    chain = ({"type": "flannel"}, {"type": "portmap", "capabilities": {"portMappings": True}})
    plain = inspect.cni(write(tmp_path, *chain), cluster, pod="default/web-1").to_dict()
    assert plain["pod"]["host_ports"] == [8080]
    assert plain["pod"]["egress_bps"] is None
    shaped = inspect.cni(write(tmp_path, *chain, SHAPED), cluster, pod="default/web-1").to_dict()
    assert shaped["pod"]["egress_bps"] == 2_000_000
    assert shaped["node"]["pod_cidrs"] == list(cluster.nodes[cluster.node_index[shaped["node"]["name"]]].pod_cidrs)
    assert shaped["network"]["ranges"] == plain["network"]["ranges"]
    with pytest.raises(InputError, match="no such pod"):
        inspect.cni(tmp_path / "10-net.conflist", pod="default/web-1")


def test_kubenet_has_no_file(tmp_path: Path) -> None:
    report = inspect.cni("kubenet", load_cluster(scenario(tmp_path, {"type": "flannel"}))).to_dict()
    assert (report["network"]["bridge"], report["profile"]["base"], report["profile"]["bandwidth"]) == (
        "cbr0", "kubenet", "htb",
    )  # fmt: skip
    assert report["network"]["ranges"] == ["10.244.0.1-10.244.0.254"]


def test_an_installers_config_map(tmp_path: Path) -> None:
    chain = '{"name":"k","cniVersion":"0.3.1","plugins":[{"type":"calico","mtu":__CNI_MTU__}]}'
    file = tmp_path / "calico.yaml"
    data = {"veth_mtu": "1450", "cni_network_config": chain}
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}))
    assert inspect.cni(file).to_dict()["profile"]["base"] == "calico-vxlan"
    file.write_text(PODS)
    with pytest.raises(InputError, match="no CNI configuration in this file"):
        inspect.cni(file)

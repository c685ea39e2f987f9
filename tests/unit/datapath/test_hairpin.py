"""A pod that its own Service leads back to itself: answered, or lost where the bridge sends nothing back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netsim import inspect
from netsim.cluster.cluster import Cluster
from netsim.cluster.defaults import with_defaults
from netsim.cluster.manifests import cluster_from_objects

LABELS = {"app": "web"}
POD = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop", "labels": LABELS},
    "spec": {"containers": [{"name": "web", "ports": [{"containerPort": 8080}]}]},
}  # fmt: skip
SERVICE = {
    "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"selector": LABELS, "ports": [{"port": 80, "targetPort": 8080}]},
}  # fmt: skip


def cluster(hairpin_mode: str = "") -> Cluster:
    kubelet = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
    stated = [kubelet | {"hairpinMode": hairpin_mode}] if hairpin_mode else []
    return with_defaults(cluster_from_objects([POD, SERVICE, *stated]))


def verdict(asked: Cluster, plugin: str, proxy: str, to: str = "shop/web:80") -> tuple[str, str]:
    report = inspect.path(asked, "shop/web", to, plugin=plugin, proxy=proxy)
    return report.verdict, report.reason


@pytest.mark.parametrize("mode", ["", "promiscuous-bridge", "hairpin-veth"])
def test_kubenet_answers_as_the_kubelet_usually_has_it(mode: str) -> None:
    assert verdict(cluster(mode), "kubenet", "iptables")[0] == "ALLOW"


@pytest.mark.parametrize(("proxy", "found"), [("iptables", "DROP"), ("nftables", "DROP"), ("ipvs", "ALLOW")])
def test_without_hairpin_mode_the_frame_is_lost_where_the_bridge_translates(proxy: str, found: str) -> None:
    told, reason = verdict(cluster("none"), "kubenet", proxy)
    assert told == found
    assert ("hairpin" in reason) == (found == "DROP")


def test_the_mode_is_no_matter_to_others() -> None:
    assert verdict(cluster("none"), "calico-vxlan", "iptables")[0] == "ALLOW"
    assert verdict(cluster("none"), "kubenet", "iptables", to="shop/web")[0] == "ALLOW"


@pytest.mark.parametrize(("hairpin", "found"), [(True, "ALLOW"), (False, "DROP")])
def test_a_bridge_of_a_cni_configuration_says_it_itself(tmp_path: Path, hairpin: bool, found: str) -> None:
    plugin = {
        "type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": hairpin,
        "ipam": {"type": "host-local", "subnet": "10.244.0.0/24"},
    }  # fmt: skip
    file = tmp_path / "10-bridge.conflist"
    file.write_text(json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [plugin]}))
    assert verdict(cluster(), str(file), "iptables")[0] == found

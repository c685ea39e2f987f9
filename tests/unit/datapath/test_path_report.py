"""``inspect path``: the document, the notation of ends, answers that are no, and real manifests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_cluster import small_cluster

from netsim.cluster.cluster import Cluster
from netsim.cluster.manifests import load_cluster
from netsim.cluster.objects import NetworkPolicy, Selector, Service, ServicePort
from netsim.datapath.datapath import Datapath
from netsim.datapath.path_report import PathReport, inspect_path
from netsim.datapath.plugin import load_plugin
from netsim.errors import InputError

SHARED = Path(__file__).parents[3].parent / "shared" / "inputs" / "apps"
HOP_KEYS = {"hop", "node", "station", "cost_s", "latency_s", "bytes", "src", "dst"}


def ask(from_: str, to: str, plugin: str = "flannel-vxlan", cluster: Cluster | None = None, **how: Any) -> PathReport:
    return inspect_path(cluster or small_cluster(), plugin, None, "server", from_=from_, to=to, **how)


def test_document() -> None:
    document = ask("shop/web-0-0", "shop/front:80").to_dict()
    assert json.loads(json.dumps(document)) == document
    assert (document["from"], document["to"], document["verdict"]) == ("shop/web-0-0", "shop/front:80", "ALLOW")
    for direction in ("forward", "reverse"):
        for packet in ("first", "established"):
            way = document[direction][packet]  # type: ignore[index]
            assert set(way) == {"hops", "cost_s", "one_way_s"}
            assert all(set(hop) >= HOP_KEYS for hop in way["hops"])
            assert 0 < way["cost_s"] < way["one_way_s"] < 1e-3


def test_a_first_packet_takes_longer_and_a_tunnel_shows_its_bytes() -> None:
    report = ask("shop/web-0-0", "shop/web-2-0")
    assert report.first.cost_s > report.established.cost_s
    on_wire = next(line for line in report.established.hops if line.hop == "link.up")
    assert on_wire.bytes == 1024 + 54 + 50
    assert on_wire.outer == ("192.168.0.1", "192.168.0.3")
    assert next(line for line in report.first.hops if line.hop == "socket.send").bytes == 54


def test_names_of_ends() -> None:
    assert ask("shop/web-0-0", "shop/web").backend == "shop/web-0-0", "a workload stands for its first pod"
    assert ask("shop/web-0-0", "shop/inner").first.hops[0].dst == "10.96.0.11"
    assert ask("node/n1", "shop/web-1-0:9000").first.hops[0].dst_port == 9000
    assert ask("shop/web-0-0", "external").first.hops[-1].src == "192.168.0.1"
    assert ask("external", "node/n2:30080").first.hops[0].dst == "192.168.0.3"
    assert ask("shop/web-0-0", "node/n2:30080").backend != ""


@pytest.mark.parametrize(
    ("from_", "to", "says"),
    [
        ("shop/none", "shop/web-0-0", "from: no such pod or Service; got 'shop/none'"),
        ("shop/web-0-0", "shop/front:81", "80/TCP"),
        ("shop/web-0-0", "node/n9", "no such node; got 'n9'"),
        ("shop/front", "shop/web-0-0", "not at a Service"),
        ("external", "external", "both ends are outside"),
        ("web-0-0", "shop/web-0-0", "not the name of an end"),
        ("shop/web-0-0", "shop/front:http", "not a port"),
        ("shop/web-0-0", "shop/front:99999", "1 to 65535"),
    ],
)
def test_wrong_names_are_one_message(from_: str, to: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        ask(from_, to)
    assert says in str(caught.value)


def test_a_service_without_endpoints_refuses() -> None:
    report = ask("shop/web-0-0", "shop/empty:80")
    assert report.verdict == "REJECT"
    assert "no usable endpoint" in report.reason
    nothing = {"hops": [], "cost_s": 0.0, "one_way_s": 0.0}
    assert report.to_dict()["forward"] == {"first": nothing, "established": nothing}


def test_a_denying_policy_says_who_and_why() -> None:
    cluster = small_cluster(policies=(NetworkPolicy("shop", "deny", Selector({"app": "web"})),))
    report = ask("shop/web-0-0", "shop/front:80", "calico-ipip", cluster)
    assert report.verdict == "DROP"
    assert "shop/deny" in report.reason
    ignored = ask("shop/web-0-0", "shop/front:80", "flannel-vxlan", cluster)
    assert ignored.verdict == "ALLOW"
    assert any("no effect" in warning for warning in ignored.warnings)


def test_outside_through_both_traffic_policies() -> None:
    spread = ask("external", "shop/front:80", "kubenet")
    assert spread.first.hops[-1].src.startswith("192.168.0.")
    kept = ask("external", "shop/front:80", "kubenet", small_cluster(external="Local"))
    assert kept.verdict == "ALLOW"
    assert kept.first.hops[-1].src == "203.0.113.10"


def test_wrong_mtu_is_named() -> None:
    report = ask("shop/web-0-0", "shop/web-2-0", mtu=1500)
    assert any("black hole" in warning for warning in report.warnings)
    assert not ask("shop/web-0-0", "shop/web-2-0").warnings


def test_datagrams() -> None:
    report = ask("shop/web-0-0", "shop/web-2-0", protocol="UDP")
    assert next(line for line in report.first.hops if line.hop == "socket.send").bytes == 512 + 42


def test_impossible_combination_is_said() -> None:
    with pytest.raises(InputError, match="cannot exist"):
        inspect_path(small_cluster(), "kubenet", "ebpf", "server", from_="shop/web-0-0", to="shop/web-2-0")


REAL = [
    ("online-boutique.yaml", "default/frontend", "default/cartservice:7070"),
    ("online-boutique.yaml", "default/frontend", "default/productcatalogservice:3550"),
    ("bookinfo.yaml", "default/productpage-v1", "default/reviews:9080"),
    ("guestbook.yaml", "external", "default/frontend:80"),
]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared inputs are not here")
@pytest.mark.parametrize("plugin", ["kubenet", "flannel-vxlan", "calico-ipip", "cilium-vxlan"])
@pytest.mark.parametrize(("file", "from_", "to"), REAL)
def test_real_applications(file: str, from_: str, to: str, plugin: str) -> None:
    report = inspect_path(load_cluster(SHARED / file), load_plugin(plugin), None, "server", from_=from_, to=to)
    outside_to_cluster_ip = from_ == "external" and "guestbook" in file
    if outside_to_cluster_ip and plugin == "cilium-vxlan":
        assert report.verdict == "DROP", "eBPF services answer cluster IPs to the inside only"
        return
    assert report.verdict == "ALLOW"
    assert report.established.one_way_s > 0
    assert any("cluster IP" in warning for warning in report.warnings) is outside_to_cluster_ip


def test_headless_services_lead_to_their_pods() -> None:
    cluster = small_cluster()
    headless = Service("shop", "bare", cluster_ips=("None",), ports=(ServicePort(8080),), selector={"app": "web"})
    lonely = Service("shop", "lonely", cluster_ips=("None",), ports=(ServicePort(8080),), selector={"app": "none"})
    cluster = replace(cluster, services=(*cluster.services, headless, lonely))
    report = ask("shop/web-2-0", "shop/bare:8080", cluster=cluster)
    assert report.backend == "shop/web-0-0"
    assert {line.dst for line in report.first.hops} == {"10.244.0.2"}
    with pytest.raises(InputError, match="leads nowhere"):
        ask("shop/web-2-0", "shop/lonely:8080", cluster=cluster)
    datapath = Datapath(cluster, "kubenet")
    assert datapath.routes(4, 0, port=8080, service=("shop/bare", 8080)) is datapath.routes(4, 0, port=8080)

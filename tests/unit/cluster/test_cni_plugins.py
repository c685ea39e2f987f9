"""What each plugin checks and what it adds to the node's network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netsim.cluster.cni.conflist import load_conflist, parse_conflist, parse_flannel_backend, parse_subnet_env
from netsim.cluster.cni.network import FlannelBackend, NodeFacts, NodeNetwork, TokenBucket
from netsim.errors import InputError


def listed(*plugins: dict[str, Any], version: str = "1.0.0", **top: Any) -> str:
    return json.dumps({"name": "net", "cniVersion": version, "plugins": list(plugins), **top})


def network(*plugins: dict[str, Any], node: NodeFacts | None = None) -> NodeNetwork:
    return parse_conflist(listed(*plugins), "10-net.conflist").describe(node)


def refusal(text: str, file: str = "10-net.conflist") -> str:
    with pytest.raises(InputError) as caught:
        parse_conflist(text, file)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "error parsing configuration list: unexpected end of JSON input"),
        ("", "unexpected end of JSON input"),
        ("[]", "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ('{"name": "a"} x', "invalid character 'x' after top-level value"),
        ('{"name": NaN}', "invalid character 'N' looking for beginning of value"),
        ('{"name": "a",}', "invalid character '}' looking for beginning of object key string"),
        ("[" * 100_000, "exceeded max depth"),
        ('{"name": 5}', "invalid name type float64"),
        ('{"name": "a", "cniVersion": 1}', "invalid cniVersion type float64"),
        ('{"name": "a"}', "no plugin configs found"),
        ('{"name": "a", "loadOnlyInlinedPlugins": true}', "`loadOnlyInlinedPlugins` is true, and no 'plugins' key"),
        ('{"name": "a", "plugins": {}}', "invalid 'plugins' type map[string]interface {}"),
        ('{"name": "a", "plugins": []}', "no plugins in list"),
        ('{"name": "a", "plugins": ["x"]}', "failed to parse plugin config 0: error parsing"),
        ('{"name": "a", "plugins": [null]}', "missing 'type'"),
        ('{"name": "a b", "plugins": [{"type": "bridge"}]}', "invalid characters found in network name"),
        ('{"name": "", "plugins": [{"type": "bridge"}]}', "missing network name"),
        ('{"name": "a", "plugins": [{"type": "../x"}]}', "invalid plugin name: ../x"),
        ('{"name": "a", "plugins": [{"type": 4}]}', "into Go struct field PluginConf.type of type string"),
        ('{"name": "a", "disableCheck": "no", "plugins": [{"type": "x"}]}', 'invalid value "no" for disableCheck'),
        ('{"name": "a", "disableCheck": 1, "plugins": [{"type": "x"}]}', "invalid type float64 for disableCheck"),
        ('{"name": "a", "cniVersions": "1", "plugins": [{"type": "x"}]}', "invalid type for cniVersions: string"),
        ('{"name": "a", "cniVersions": ["1.x"], "plugins": [{"type": "x"}]}', "invalid cniVersions entry 1.x at index"),
    ],
)
def test_lists_libcni_refuses(text: str, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ({"type": "bridge", "vlan": 5000}, "invalid VLAN ID 5000 (must be between 0 and 4094)"),
        ({"type": "bridge", "hairpinMode": True, "promiscMode": True}, "cannot set hairpin mode and promiscuous mode"),
        ({"type": "bridge", "mtu": "1400"}, "cannot unmarshal string into Go struct field PluginConf.mtu of type int"),
        ({"type": "bridge", "mtu": 1.5}, "cannot unmarshal number 1.5 into Go struct field PluginConf.mtu of type int"),
        ({"type": "bridge", "isGateway": "yes"}, "of type bool"),
        ({"type": "bridge", "vlanTrunk": [{"minID": 4}]}, "maxID is missing"),
        ({"type": "bridge", "vlanTrunk": [{"id": 0}]}, "incorrect trunk id parameter"),
        ({"type": "bridge", "vlan": 3, "vlanTrunk": [{"id": 4}]}, "cannot set vlan and vlanTrunk at the same time"),
        ({"type": "bridge", "ipam": "host-local"}, "PluginConf.ipam of type types.IPAM"),
        ({"type": "macvlan", "mode": "open"}, 'unknown macvlan mode: "open"'),
        ({"type": "ipvlan", "mode": "l4"}, 'unknown ipvlan mode: "l4"'),
        ({"type": "vlan", "vlanId": 3}, '"master" field is required'),
        ({"type": "host-device"}, "specify either"),
        ({"type": "portmap", "markMasqBit": 32}, "MasqMarkBit must be between 0 and 31"),
        ({"type": "portmap", "markMasqBit": 1, "externalSetMarkChain": "X"}, "Cannot specify externalSetMarkChain"),
        ({"type": "portmap", "runtimeConfig": {"portMappings": [{"hostPort": 1}]}}, "Invalid container port number: 0"),
        ({"type": "bandwidth", "ingressRate": 5}, "if rate is set, burst must also be set"),
        ({"type": "bandwidth", "egressBurst": 5}, "if burst is set, rate must also be set"),
        ({"type": "bandwidth", "ingressRate": -1, "ingressBurst": 5}, "of type uint64"),
        ({"type": "bandwidth", "ingressRate": 8, "ingressBurst": 2**35}, "burst cannot be more than 4GB"),
        ({"type": "bandwidth", "ingressRate": 8, "ingressBurst": 8, "shapedSubnets": ["x"]}, 'bad subnet "x" provided'),
        ({"type": "firewall", "ingressPolicy": "closed"}, 'unknown ingress policy: "closed"'),
        ({"type": "tuning", "sysctl": {"kernel.panic": "1"}}, "invalid net sysctl key"),
        ({"type": "flannel", "delegate": {"name": "x"}}, "must not have 'name' field"),
        ({"type": "flannel", "delegate": {"ipam": {}}}, "must not have 'ipam' field"),
        ({"type": "flannel", "delegate": {"type": 3}}, "must have (string) 'type' field"),
        ({"type": "flannel", "delegate": {"mtu": "x"}}, "of type int"),
        ({"type": "multus"}, "at least one delegate"),
        ({"type": "aws-cni", "mtu": "large"}, 'parsing "large": invalid syntax'),
        ({"type": "ptp", "ipam": {"type": "static", "addresses": [{"address": "10.0.0.1"}]}}, "CIDR notation"),
    ],
)
def test_configurations_the_plugins_refuse(plugin: dict[str, Any], message: str) -> None:
    assert message in refusal(listed(plugin))


def test_versions_are_each_plugins_own() -> None:
    assert 'config is "0.3.1", plugin supports ["0.4.0"' in refusal(listed({"type": "firewall"}, version="0.3.1"))
    assert "incompatible CNI versions" in refusal(listed({"type": "bandwidth"}, version="0.2.0"))
    text = listed({"type": "bridge"}, version="0.3.1", cniVersions=["0.4.0", "1.0.0", "7.0.0"])
    assert parse_conflist(text, "a.conflist").version == "1.0.0"


def test_the_file_name_decides_the_kind() -> None:
    single = json.dumps({"name": "net", "type": "bridge"})
    assert parse_conflist(single, "10.conf").chain == ("bridge",)
    assert "a list of plugins belongs in a .conflist file" in refusal(listed({"type": "bridge"}), "10.conf")
    assert parse_conflist(listed({"type": "bridge"})).chain == ("bridge",)
    assert "missing network name" in refusal(json.dumps({"type": "bridge"}), "10.conf")


def test_names_match_without_case_and_the_last_wins() -> None:
    plugin = {"type": "bridge", "MTU": 1400, "hairpinmode": True}
    assert (network(plugin).mtu_bytes, network(plugin).hairpin) == (1400, True)


def test_templates_are_named_as_such() -> None:
    said = refusal('{"name": "k8s", "plugins": [{"type": "calico", "mtu": __CNI_MTU__}]}')
    assert "__CNI_MTU__" in said
    assert "template" in said
    later = network({"type": "ptp", "ipam": {"type": "host-local", "ranges": [[{"subnet": "{{.PodCIDR}}"}]]}})
    assert later.range_sets == ()
    assert "fills it in" in later.notes[0]


def test_bridge_with_chain() -> None:
    described = network(
        {"type": "bridge", "bridge": "br1", "isDefaultGateway": True, "ipMasq": True, "mtu": 1450,
         "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/25"}], [{"subnet": "fd00:1::/120"}]]}},
        {"type": "portmap"}, {"type": "firewall"},
        {"type": "bandwidth", "ingressRate": 10_000_000, "ingressBurst": 80_000},
        {"type": "tuning", "mtu": 1400, "sysctl": {"net.core.somaxconn": "1000"}},
    )  # fmt: skip
    assert described.hops == ("veth", "token_bucket", "bridge", "route", "netfilter", "portmap")
    assert (described.mtu_bytes, described.families, described.pods_per_node) == (1400, ("IPv4", "IPv6"), 125)
    assert described.ingress == TokenBucket(10_000_000, 80_000)
    assert described.ingress.burst_bytes == 10_000
    assert described.egress is None
    assert described.to_dict()["ingress"] == {"rate_bps": 10_000_000, "burst_bytes": 10_000}


def test_layer_2_bridge_has_no_route_hop() -> None:
    assert network({"type": "bridge"}).hops == ("veth", "bridge")


def test_agent_ranges_come_from_the_node() -> None:
    node = NodeFacts(pod_cidrs=("10.244.7.0/24",))
    described = network({"type": "bridge", "isGateway": True, "ipam": {"type": "host-local"}}, node=node)
    assert described.pods_per_node == 253


@pytest.mark.parametrize(
    ("mtu", "encapsulation"), [(1480, "ipip"), (1450, "vxlan"), (1440, "wireguard"), (1500, "none"), (1300, "ipip")]
)
def test_calico_mtu_tells_the_encapsulation(mtu: int, encapsulation: str) -> None:
    assert network({"type": "calico", "mtu": mtu}).encapsulation == encapsulation


def test_cilium_chained_behind_another_plugin_keeps_its_attachment() -> None:
    described = network({"type": "ptp", "ipam": {"type": "host-local"}}, {"type": "cilium-cni"})
    assert (described.attachment, described.component) == ("ptp", "ptp")
    assert "ebpf" in described.hops


def test_azure_transparent_mode_has_no_bridge() -> None:
    described = network({"type": "azure-vnet", "mode": "transparent", "bridge": "azure0"})
    assert (described.attachment, described.bridge) == ("routed", "")


def test_flannel_builds_its_delegate() -> None:
    env = parse_subnet_env(
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
    )
    described = network({"type": "flannel", "delegate": {"isDefaultGateway": True}}, node=NodeFacts(subnet_env=env))
    assert (described.bridge, described.mtu_bytes, described.encapsulation) == ("cni0", 1450, "vxlan")
    assert (described.masquerade, described.pods_per_node) == (True, 253)
    routed = network({"type": "flannel"}, node=NodeFacts(flannel=FlannelBackend("host-gw")))
    assert (routed.encapsulation, routed.mtu_bytes) == ("none", 1500)


@pytest.mark.parametrize("text", ["", "{}", '{"Network": "10.0.0.0"}', '{"Network": "10.0.0.0/8", "Backend": 4}'])
def test_flannel_backend_errors(text: str) -> None:
    with pytest.raises(InputError):
        parse_flannel_backend(text)


@pytest.mark.parametrize(
    "text", ["FLANNEL_MTU=1450", "FLANNEL_NETWORK=x\nFLANNEL_SUBNET=y\nFLANNEL_MTU=1\nFLANNEL_IPMASQ=true"]
)
def test_subnet_env_errors(text: str) -> None:
    with pytest.raises(InputError):
        parse_subnet_env(text)


def test_multus_takes_its_network_from_the_directory(tmp_path: Path) -> None:
    (tmp_path / "00-multus.conf").write_text(json.dumps({"name": "m", "type": "multus", "clusterNetwork": "pods"}))
    (tmp_path / "05-broken.conflist").write_text("{")
    (tmp_path / "10-other.conf").write_text(json.dumps({"name": "other", "type": "ptp"}))
    (tmp_path / "20-pods.conf").write_text(json.dumps({"name": "pods", "type": "bridge", "bridge": "br7"}))
    (tmp_path / "00-readme.txt").write_text("not looked at")
    found = load_conflist(tmp_path)
    assert (found.chain, found.describe().bridge) == (("multus",), "br7")


def test_the_first_file_wins_even_when_it_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "10-good.conf").write_text(json.dumps({"name": "good", "type": "ptp"}))
    assert load_conflist(tmp_path).name == "good"
    (tmp_path / "05-bad.conflist").write_text('{"plugins": []}')
    with pytest.raises(InputError, match=r"05-bad\.conflist"):
        load_conflist(tmp_path)
    for missing in (tmp_path / "none.conf", tmp_path / "empty"):
        with pytest.raises(InputError):
            load_conflist(missing)


def test_text_go_cannot_hold_is_repaired() -> None:
    found = parse_conflist(listed({"type": "bridge", "bridge": "\ud800"})).describe()
    assert found.bridge == "\ufffd"


def test_a_wrong_pod_range_of_the_node_is_a_message() -> None:
    with pytest.raises(InputError, match="invalid CIDR address: everything"):
        network({"type": "flannel"}, node=NodeFacts(pod_cidrs=("everything",)))


def test_unknown_plugins_are_accepted_and_named() -> None:
    described = network({"type": "bridge"}, {"type": "istio-cni"})
    assert described.attachment == "bridge"
    assert "istio-cni" in described.notes[-1]

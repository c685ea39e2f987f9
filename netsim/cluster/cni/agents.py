"""Plugins that hand over to their network's agent (Calico, Cilium, AWS, ...): one class, filled from a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from netsim.cluster.cni.gojson import Members
from netsim.cluster.cni.hostlocal import parse_cidr
from netsim.cluster.cni.ipam import NO_IPAM, PLACEHOLDER, Ipam, read_ipam
from netsim.cluster.cni.network import Attachment, NodeFacts, NodeNetwork, encapsulation_of, families_of
from netsim.errors import InputError


@dataclass(frozen=True, slots=True)
class Agent:
    """What a network's agent sets up by default; the configuration file says little about it."""

    attachment: Attachment
    bridge: str = ""
    encapsulation: str | None = None
    mtu_bytes: int | None = None
    ipam: str = ""
    masquerade: bool = True
    hairpin: bool = False


AGENTS: Mapping[str, Agent] = {
    "calico": Agent("routed", encapsulation="ipip", ipam="calico-ipam"),
    "cilium-cni": Agent("ebpf", encapsulation="vxlan", ipam="cluster-pool"),
    "aws-cni": Agent("eni", encapsulation="none", mtu_bytes=9001, ipam="ipamd"),
    "azure-vnet": Agent("bridge", bridge="azure0", encapsulation="none", ipam="azure-vnet-ipam"),
    "terway": Agent("eni", encapsulation="none", ipam="terway"),
    "cni-kindnet": Agent("ptp", encapsulation="none", ipam="kindnet"),
    "kindnet": Agent("ptp", encapsulation="none", ipam="kindnet"),
    "weave-net": Agent("bridge", bridge="weave", encapsulation="vxlan", mtu_bytes=1376, ipam="weave", hairpin=True),
    "antrea": Agent("ovs", bridge="br-int", encapsulation="geneve", ipam="host-local"),
    "ovn-k8s-cni-overlay": Agent("ovs", bridge="br-int", encapsulation="geneve", mtu_bytes=1400, ipam="ovn"),
    "kube-ovn": Agent("ovs", bridge="br-int", encapsulation="geneve", ipam="kube-ovn"),
    "openshift-sdn": Agent("ovs", bridge="br0", encapsulation="vxlan", mtu_bytes=1450, ipam="openshift-sdn"),
}
"""Defaults of each network as it installs itself: Calico manifests (IPIP always), Cilium Helm values (VXLAN, cluster
pool), amazon-vpc-cni-k8s, azure-container-networking, kindnet, Weave Net (MTU 1376), Antrea, OVN-Kubernetes."""


@dataclass(frozen=True, slots=True)
class Managed:
    """A plugin that hands over to its agent; what the file leaves open follows the agent's defaults."""

    type: str
    mtu_bytes: int | None = None
    bridge: str = ""
    mode: str = ""
    hairpin: bool | None = None
    host_ports: bool = False
    pod_bandwidth: bool = False
    ipam: Ipam = NO_IPAM

    @classmethod
    def read(cls, members: Members, version: str) -> Managed:
        """Read a configuration; the MTU may be text (AWS writes ``"9001"``), zero means the agent decides."""
        kind = members.string("type")
        hairpin = members.boolean("hairpinMode") if members.has("hairpinMode") else None
        ipam = read_ipam(members, version)
        if members.has("ranges") and not ipam.type:
            ipam = _agent_ranges(members)
        asked = members.flags("capabilities")
        return cls(
            kind, _lenient_mtu(members), members.string("bridge"), members.string("mode"), hairpin,
            asked.get("portMappings", False), asked.get("bandwidth", False), ipam,
        )  # fmt: skip

    def join(self, network: NodeNetwork, node: NodeFacts) -> NodeNetwork:
        """Return the network as the agent sets it up, or the previous one with the agent's programs on it."""
        agent = AGENTS[self.type]
        if network.attachment != "none":
            return replace(network, ebpf=agent.attachment == "ebpf").noted(f"{self.type} chained behind the network")
        routed = self.mode in {"transparent", "transparent-vlan"}
        mtu = self.mtu_bytes or agent.mtu_bytes
        encapsulation = agent.encapsulation
        if self.mtu_bytes and encapsulation not in (None, "none"):
            encapsulation = encapsulation_of(node.mtu_bytes, self.mtu_bytes) or encapsulation
        joined = replace(
            network, component=self.type, attachment="routed" if routed else agent.attachment,
            bridge="" if routed else self.bridge or agent.bridge, mtu_bytes=mtu, encapsulation=encapsulation,
            masquerade=agent.masquerade, hairpin=agent.hairpin if self.hairpin is None else self.hairpin,
            host_ports=self.host_ports, pod_bandwidth=self.pod_bandwidth,
        )  # fmt: skip
        joined = self.ipam.join(joined, node)
        return joined if joined.ipam else replace(joined, ipam=agent.ipam)


def _agent_ranges(members: Members) -> Ipam:
    """Read ranges an agent keeps outside ``ipam`` (kindnet: a list of pod CIDRs)."""
    ranges = members.strings("ranges")
    if any(PLACEHOLDER.search(text) for text in ranges):
        return Ipam(filled_later=True)
    for text in ranges:
        try:
            parse_cidr(text)
        except InputError as error:
            raise error.at(members.place("ranges")) from None
    return Ipam(families=families_of(ranges))


def _lenient_mtu(members: Members) -> int | None:
    value = members.raw("mtu")
    if isinstance(value, str):
        if PLACEHOLDER.fullmatch(value) or not value:
            return None
        if not (value.isascii() and value.isdigit() and len(value) < 7):
            raise InputError(f'strconv.Atoi: parsing "{value}": invalid syntax', place=members.place("mtu"))
        return int(value) or None
    return members.integer("mtu") or None

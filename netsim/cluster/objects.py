"""What a cluster consists of: frozen data, no clock, no cost.

Field names follow the Kubernetes API in Python spelling. Only what changes a path, a count, a query or a verdict is
kept; readers ignore (and count) the rest. Mappings are treated as immutable and may be shared between objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from netsim.cluster.scheduling import NodeTerm, Taint, Toleration
from netsim.errors import Place

Protocol = Literal["TCP", "UDP", "SCTP"]
Family = Literal["IPv4", "IPv6"]
ServiceType = Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]
TrafficPolicy = Literal["Cluster", "Local"]
Labels = Mapping[str, str]
NO_LABELS: Labels = {}


def family_of(address: str) -> Family:
    """Return the IP family of an address in text form."""
    return "IPv6" if ":" in address else "IPv4"


# ------------------------------------------------------------------------------------------------ nodes


Interrupts = Literal["hashed", "steered", "remote"]
"""Whom a card wakes: a core that the flow's hash picks (RSS), the core of the program that reads the flow (aRFS, ntuple
filters), or cores of another NUMA node than the programs'."""
Moderation = Literal["light", "adaptive"]
"""Whether a card interrupts as on a quiet host, or holds interrupts back the longer the more it brings (net_dim)."""
TransmitQueue = Literal["flow", "core"]
"""How a packet of no known socket finds its transmit queue: by the flow's hash, or by the core that sends it (XPS)."""
QueueingDiscipline = Literal["unlimited", "pfifo_fast", "fq_codel"]


IptablesTool = Literal["nft", "legacy"]
"""Which back-end the node's ``iptables`` has: tables of nf_tables, or those of the kernel's own (x_tables)."""
Kernel = tuple[int, int]
"""A release of Linux, major and minor number."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The hardware of a node, as far as the network feels it.

    ``cores`` logical CPUs; ``clock_ghz`` scales CPU costs (a profile is stated at its own clock); ``nic_bps`` line
    rate in bits per second of the uplink; ``queues`` receive queues (RSS spreads flows over that many cores);
    ``ring`` descriptors per queue; ``rps`` that every queue's ``rps_cpus`` names all cores, each of which lets
    ``backlog`` packets wait; ``interrupts`` which cores the card wakes, ``moderation`` whether a busy
    one holds them back; ``transmit_queue`` how a packet of no known socket finds its queue; ``mtu`` of the node's
    interface in bytes;
    offloads as the NIC has them: ``tso`` transmit segmentation, ``gro`` receive merging, ``checksum`` offload,
    ``tunnel`` segmentation and checksum of encapsulated packets. ``qdisc`` is what packets wait in before the card,
    whose ring holds ``byte_queue_limit`` bytes (`None`: as the kernel would settle it). ``kernel`` is the release of
    Linux, major and minor, where an old one does something otherwise (`None`: a present one). ``iptables`` is the
    back-end of the tool that programs Services.
    """

    cores: int = 16
    clock_ghz: float = 3.0
    nic_bps: float = 25e9
    queues: int = 16
    ring: int = 1024
    rps: bool = False
    backlog: int = 1000
    interrupts: Interrupts = "hashed"
    moderation: Moderation = "light"
    transmit_queue: TransmitQueue = "flow"
    mtu: int = 1500
    tso: bool = True
    gro: bool = True
    checksum: bool = True
    tunnel: bool = True
    qdisc: QueueingDiscipline = "unlimited"
    byte_queue_limit: int | None = None
    kernel: Kernel | None = None
    iptables: IptablesTool = "nft"

    def before(self, major: int, minor: int) -> bool:
        """Tell whether the kernel is known to be older than a release."""
        return older(self.kernel, (major, minor))


def older(kernel: Kernel | None, than: Kernel) -> bool:
    """Tell whether a kernel is known to be older than a release; one that nobody states is a present one."""
    return kernel is not None and kernel < than


def release(text: str) -> Kernel | None:
    """Return major and minor release of a kernel's name (``3.10.0-1160.el7``), ``None`` where it tells none."""
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class Node:
    """A machine in the cluster. ``pod_cidrs`` holds at most one range a family."""

    name: str
    addresses: tuple[str, ...] = ()
    pod_cidrs: tuple[str, ...] = ()
    machine: Machine = Machine()
    rack: str = ""
    zone: str = ""
    labels: Labels = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    max_pods: int = 110
    cpu_millis: int | None = None
    memory_bytes: int | None = None
    provider: str = ""
    """Cloud that keeps the routes: ``aws``, ``azure``, ``gce`` or empty."""
    ready: bool = True


# ------------------------------------------------------------------------------------------------ pods and workloads


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A declared port of a container; ``name`` is what named target ports and policies refer to."""

    port: int
    name: str = ""
    protocol: Protocol = "TCP"
    host_port: int | None = None


@dataclass(frozen=True, slots=True)
class DnsConfig:
    """``spec.dnsConfig`` of a pod. ``options`` holds (name, value or None) in order."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """Everything pods of one workload share; pods keep a reference to it, so 150,000 pods stay small.

    ``texts`` are the strings of env, args, command and mounted config in which a service name may be found
    (traffic inference). ``owner_kind`` is the workload's kind (``Deployment``, ``StatefulSet``, ``DaemonSet``,
    ``ReplicaSet``, ``Pod`` for bare pods).
    """

    namespace: str = "default"
    owner_kind: str = "Pod"
    owner: str = ""
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    ports: tuple[ContainerPort, ...] = ()
    host_network: bool = False
    hostname: str = ""
    subdomain: str = ""
    dns_policy: str = "ClusterFirst"
    dns_config: DnsConfig | None = None
    node_name: str = ""
    """Node the pods state themselves, past the scheduler."""
    node_selector: Labels = field(default_factory=dict)
    node_terms: tuple[NodeTerm, ...] = ()
    """Required node affinity: one of these terms; none: any node."""
    tolerations: tuple[Toleration, ...] = ()
    cpu_millis: int = 0
    cpu_limit_millis: int | None = None
    memory_bytes: int = 0
    images: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    set_hostname_as_fqdn: bool = False
    host_aliases: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Lines of the pods' hosts file: (address, names)."""
    ingress_bps: int | None = None
    """Rate in bits per second the ``kubernetes.io/ingress-bandwidth`` annotation limits traffic to the pod to."""
    egress_bps: int | None = None
    """The same for traffic from the pod. Whether a rate is enforced is the network plugin's to say."""
    place: Place = field(default=Place(), compare=False)
    """Where the object that states the template was read."""


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. ``node`` is empty while unplaced; ``addresses`` holds one address a family, primary first."""

    name: str
    template: PodTemplate
    node: str = ""
    addresses: tuple[str, ...] = ()
    ready: bool = True
    terminating: bool = False
    serving: bool | None = None
    """Serving while terminating; ``None`` means as ``ready``."""
    hostname: str = ""
    """Own hostname where it differs from the template's (StatefulSet pods)."""

    @property
    def namespace(self) -> str:
        """Namespace of the pod."""
        return self.template.namespace

    @property
    def labels(self) -> Labels:
        """Labels of the pod."""
        return self.template.labels

    @property
    def key(self) -> str:
        """``namespace/name``, the identity used everywhere outside this class."""
        return f"{self.template.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Workload:
    """A controller of pods: Deployment, StatefulSet, DaemonSet or ReplicaSet."""

    kind: str
    namespace: str
    name: str
    replicas: int
    template: PodTemplate
    service_name: str = ""

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace with its labels (``kubernetes.io/metadata.name`` included)."""

    name: str
    labels: Labels = field(default_factory=dict)


# ------------------------------------------------------------------------------------------------ services


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service. ``target_port`` is a number or the name of a container port."""

    port: int
    name: str = ""
    protocol: Protocol = "TCP"
    target_port: int | str = 0
    node_port: int | None = None
    app_protocol: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A Service as the API server would hold it, defaults filled in. Headless: ``cluster_ips`` is ``("None",)``."""

    namespace: str
    name: str
    type: ServiceType = "ClusterIP"
    cluster_ips: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    selector: Labels = field(default_factory=dict)
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    """Addresses of ``status.loadBalancer.ingress`` with ipMode VIP (proxied ones make no rules)."""
    load_balancer_names: tuple[str, ...] = ()
    """Host names of ``status.loadBalancer.ingress``."""
    source_ranges: tuple[str, ...] = ()
    affinity_s: float | None = None
    """ClientIP session affinity timeout in seconds; ``None`` without affinity."""
    internal_traffic_policy: TrafficPolicy = "Cluster"
    external_traffic_policy: TrafficPolicy = "Cluster"
    allocate_node_ports: bool = True
    health_check_node_port: int | None = None
    external_name: str = ""
    publish_not_ready: bool = False
    traffic_distribution: str = ""
    ip_families: tuple[Family, ...] = ()
    ip_family_policy: str = "SingleStack"
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)

    key: str = field(init=False, repr=False, compare=False)
    """``namespace/name``; kept, for it is asked for with every connection."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.namespace}/{self.name}")

    @property
    def headless(self) -> bool:
        """True for ``clusterIP: None``."""
        return self.cluster_ips[:1] == ("None",)


@dataclass(frozen=True, slots=True)
class EndpointPort:
    """A resolved port of an endpoint: always a number. ``name`` is the Service port's name."""

    port: int
    name: str = ""
    protocol: Protocol = "TCP"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address behind a Service, in one family, as an EndpointSlice states it.

    ``pod`` is the key of the pod behind it (``namespace/name``) or empty for addresses outside the cluster;
    ``zone_hints`` and ``node_hints`` are topology hints (empty means no hint).
    """

    address: str
    ports: tuple[EndpointPort, ...] = ()
    node: str = ""
    zone: str = ""
    pod: str = ""
    hostname: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    zone_hints: tuple[str, ...] = ()
    node_hints: tuple[str, ...] = ()
    further: bool = False
    """A further address of the endpoint before it: DNS answers with it too, proxies use the first only."""


# ------------------------------------------------------------------------------------------------ policies


@dataclass(frozen=True, slots=True)
class Requirement:
    """One ``matchExpressions`` entry; ``operator`` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selector:
    """A label selector; empty selects everything."""

    match_labels: Labels = field(default_factory=dict)
    match_expressions: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True)
class IpBlock:
    """A CIDR with exceptions."""

    cidr: str
    excepts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Peer:
    """One ``from``/``to`` item: either an ``ip_block`` or selectors (both given means AND)."""

    pod_selector: Selector | None = None
    namespace_selector: Selector | None = None
    ip_block: IpBlock | None = None


@dataclass(frozen=True, slots=True)
class PolicyPort:
    """One ``ports`` item; ``port`` ``None`` means every port of the protocol, a string names a container port."""

    protocol: Protocol = "TCP"
    port: int | str | None = None
    end_port: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One ingress or egress rule; an empty ``peers`` means anyone, an empty ``ports`` means any port."""

    peers: tuple[Peer, ...] = ()
    ports: tuple[PolicyPort, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """A NetworkPolicy with ``policyTypes`` defaulted as the API server does."""

    namespace: str
    name: str
    pod_selector: Selector = Selector()
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()
    isolates_ingress: bool = True
    isolates_egress: bool = False

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


# ------------------------------------------------------------------------------------------------ the whole


@dataclass(frozen=True, slots=True)
class Fabric:
    """How nodes are wired: racks of ``nodes_per_rack`` under one leaf each, ``spines`` spine switches between leaves.

    ``oversubscription`` is the downlink over uplink capacity of a leaf (1.0 = none); ``link_latency_s`` the
    propagation and forwarding delay a link crossing adds; ``zone_latency_s`` the extra one-way delay between zones;
    ``buffer_bytes`` the switch buffer of one output port; ``loss`` the share of packets damaged on a cable into a node.
    """

    nodes_per_rack: int = 32
    spines: int = 4
    oversubscription: float = 1.0
    link_latency_s: float = 0.5e-6
    zone_latency_s: float = 250e-6
    buffer_bytes: int = 512 * 1024
    loss: float = 0.0


@dataclass(frozen=True, slots=True)
class Note:
    """Something the reader of a report must know about the input: a default used, an object ignored, a warning."""

    code: str
    text: str
    level: Literal["default", "ignored", "warning"] = "default"

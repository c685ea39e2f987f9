"""A scenario: one question, as frozen models. This file is the reference of every key a user may write.

The JSON Schema, the parameter reference and the error messages all come from here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, PrivateAttr, field_validator, model_validator

from netsim.scenario.base import Spec
from netsim.scenario.distributions import NO_WORK, Constant, Duration, Size
from netsim.scenario.faults import ConvergenceSpec, Fault
from netsim.scenario.objectives import parse_objective
from netsim.scenario.origin import Origin
from netsim.scenario.quantities import BitsPerSecond, Bytes, Fraction, PerSecond, Seconds
from netsim.scenario.tcp import TcpSpec


class MachineSpec(Spec):
    """The hardware of every node (values of a dump's nodes win where it states them)."""

    cores: int = Field(16, ge=1, le=1024, description="logical CPUs")
    clock_ghz: float = Field(3.0, gt=0, le=10, description="sustained clock; scales CPU costs against the profile's")
    nic: BitsPerSecond = Field(25e9, description="line rate of the uplink")
    queues: int | None = Field(None, ge=1, description="receive queues; default: one a core")
    ring: int = Field(1024, ge=1, description="descriptors per receive queue")
    rps: bool = Field(False, description="receive packet steering: a packet's protocol work goes to any core, by flow")
    backlog: int = Field(1000, ge=1, description="packets that wait for a core with rps (net.core.netdev_max_backlog)")
    interrupts: Literal["hashed", "steered", "remote"] = Field(
        "hashed",
        description="cores the card wakes: by the flow's hash (RSS), the program's own (steered: aRFS), or cores of "
        "another NUMA node than the programs' (remote)",
    )
    moderation: Literal["light", "adaptive"] = Field(
        "light",
        description="when the card interrupts an idle core: as on a quiet host, or the later the busier its core is "
        "(adaptive-rx)",
    )
    transmit_queue: Literal["flow", "core"] = Field(
        "flow",
        description="how a packet whose socket nobody knows any more finds its transmit queue: by the flow's hash, or "
        "by the core that sends it (XPS, as mlx5 sets it up), where pods' streams that fill the card lose their order",
    )
    mtu: int = Field(1500, ge=576, le=65535, description="MTU of the node's interface in bytes")
    tso: bool = Field(True, description="transmit segmentation offload")
    gro: bool = Field(True, description="receive merging (GRO)")
    checksum: bool = Field(True, description="checksum offload")
    tunnel: bool = Field(True, description="segmentation and checksum offload of encapsulated packets")
    qdisc: Literal["unlimited", "pfifo_fast", "fq_codel"] = Field(
        "unlimited",
        description="what packets wait in before the card: one queue without end, pfifo_fast (1,000 packets), or "
        "fq_codel (a queue a connection, CoDel; systemd's default)",
    )
    byte_queue_limit: Bytes | None = Field(
        None, ge=1514,
        description="bytes a transmit ring holds before its queue is stopped (BQL), with a qdisc; default: what the "
        "card sends in two completions of 25 us, at least two buffers of 64 KiB",
    )  # fmt: skip
    kernel: str | None = Field(
        None, pattern=r"^\d+\.\d+",
        description="release of Linux ('3.10', 5.4.0-generic), where an old one differs: before 4.14 datagrams above "
        "the MTU stay whole up to the card, before 4.3 tunnels of Open vSwitch have no device, before 6.13 nftables "
        "mode takes longer to write many Services; default: a present one",
    )  # fmt: skip
    iptables: Literal["nft", "legacy"] = Field(
        "nft",
        description="back-end of the nodes' iptables, which says how long kube-proxy takes; a dump's nodes of "
        "Container-Optimized OS have the legacy one, kernels before 4.18 too",
    )


class FabricSpec(Spec):
    """How nodes are wired."""

    nodes_per_rack: int = Field(32, ge=1)
    spines: int = Field(4, ge=1)
    oversubscription: float = Field(1.0, ge=1.0, description="downlink over uplink capacity of a leaf switch")
    zones: int = Field(1, ge=1, description="zones the racks are spread over, where nodes state none")
    link_latency: Seconds = Field(0.5e-6, description="propagation and forwarding delay of a link")
    zone_latency: Seconds = Field(250e-6, description="extra one-way delay between zones")
    buffer: Bytes = Field(512 * 1024, description="buffer of one switch output port")
    loss: float = Field(
        0.0, ge=0, lt=1, description="share of packets damaged on the cable into a node (dirty optics, bad contacts)"
    )


class SyntheticSpec(Spec):
    """A described cluster."""

    nodes: int = Field(10, ge=1, le=100_000)
    pods_per_node: int = Field(30, ge=1)
    services: int = Field(100, ge=0)
    endpoints_per_service: int | None = Field(None, ge=1, description="default: pods spread evenly over services")
    policies: int = Field(0, ge=0)
    namespaces: int = Field(10, ge=1)
    seed: int = 1


class ScaleSpec(Spec):
    """How an application grows with ``cluster.nodes``."""

    replicas: Literal["proportional", "fixed"] = Field("proportional", description="replicas in proportion to nodes")
    services: Literal["fixed", "proportional"] = Field(
        "fixed", description="proportional repeats the application in further namespaces instead of adding replicas"
    )
    base_nodes: int | None = Field(None, ge=1, description="size at which the manifests' replica counts hold")
    fixed: tuple[str, ...] = Field((), description="workloads that keep their replica count (databases)")
    dns: Literal["proportional", "fixed"] = Field(
        "proportional", description="proportional: CoreDNS replicas follow nodes and cores as the DNS autoscaler has it"
    )


class ClusterSpec(Spec):
    """What exists: from manifests or synthetic, possibly scaled to ``nodes``."""

    manifests: tuple[str, ...] = Field((), description="file, directory or list of them, relative to the scenario")
    synthetic: SyntheticSpec | None = None
    nodes: int | None = Field(None, ge=1, le=100_000, description="scale the cluster to this many nodes")
    scale: ScaleSpec = ScaleSpec()
    machine: MachineSpec = MachineSpec()
    fabric: FabricSpec = FabricSpec()
    families: tuple[Literal["IPv4", "IPv6"], ...] = Field(
        ("IPv4",), min_length=1, description="IP families, primary first"
    )
    cluster_cidr: tuple[str, ...] = Field(
        (), description="pod ranges, one a family; default: 10.244.0.0/16, widened to fit"
    )
    service_cidr: tuple[str, ...] = Field((), description="service ranges, one a family; default 10.96.0.0/12")
    node_mask: int | None = Field(None, ge=8, le=30, description="prefix length of a node's IPv4 pod range; default 24")
    max_pods: int = Field(110, ge=1, le=1024, description="pods the kubelet accepts, where nodes state nothing")
    cpu_limits: bool = Field(True, description="hold pods to resources.limits.cpu: a quota every 100 ms")
    provider: Literal["", "aws", "azure", "gce"] = Field("", description="cloud that keeps the node routes")
    domain: str = Field("cluster.local", description="DNS domain of the cluster")

    @field_validator("manifests", "cluster_cidr", "service_cidr", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("cluster_cidr", "service_cidr")
    @classmethod
    def _are_ranges(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError as error:
                raise ValueError(f"not a range of addresses: {text!r}|a CIDR such as 10.244.0.0/16") from error
        return value

    @field_validator("families")
    @classmethod
    def _families_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len({*value}) < len(value):
            raise ValueError("a family is given twice|IPv4, IPv6 or both")
        return value

    @model_validator(mode="after")
    def _ranges_of_families(self) -> ClusterSpec:
        for name in ("cluster_cidr", "service_cidr"):
            ranges = getattr(self, name)
            found = ["IPv6" if ":" in text else "IPv4" for text in ranges]
            if ranges and sorted(found) != sorted(self.families):
                raise ValueError(
                    f"{name} has ranges of {' and '.join(found)} in a cluster of {' and '.join(self.families)}"
                    "|one range a family, and cluster.families naming them"
                )
        return self

    @model_validator(mode="after")
    def _one_origin(self) -> ClusterSpec:
        if bool(self.manifests) == (self.synthetic is not None):
            raise ValueError("a cluster comes from manifests or is synthetic|exactly one of manifests, synthetic")
        return self


class NetworkSpec(Spec):
    """Plugin, service implementation, costs, MTU."""

    plugin: str = Field(
        "flannel-vxlan",
        description="a shipped plugin, the path of a plugin file, or of a CNI configuration (file or directory)",
    )
    proxy: Literal["iptables", "ipvs", "nftables", "ebpf"] | None = Field(
        None, description="service implementation; default: the input's kube-proxy configuration, or the plugin's usual"
    )
    costs: str = Field("server", description="a shipped cost profile or the path of one")
    prices: Mapping[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict, description="figures of the cost profile with another value, in their own unit"
    )
    mtu: Annotated[int, Field(ge=576, le=65535)] | Literal["auto"] = Field(
        "auto", description="pod MTU in bytes; auto: what the plugin would set"
    )
    conntrack_max: int | None = Field(None, ge=1024, description="entries per node; default as kube-proxy sets it")
    neighbours_max: int | None = Field(
        None, ge=1, description="entries of a node's neighbour table (gc_thresh3, 1024 by default) that runs hold it to"
    )
    local_ports: int = Field(
        28_232, ge=1, description="ports a client has for connections to one destination (ip_local_port_range)"
    )
    tcp: TcpSpec = TcpSpec()
    tcp_tw_reuse: bool = Field(False, description="ports in TIME_WAIT serve new connections after 1 s, not after 60 s")
    snat_ports: int = Field(
        64_512, ge=1, description="ports a node has for masqueraded connections to one destination (1024-65535)"
    )


class DnsSpec(Spec):
    """Cluster DNS."""

    replicas: int | None = Field(None, ge=1, description="CoreDNS pods; default: as the manifests say, else 2")
    workers: int = Field(2, ge=1, description="cores a replica may use")
    node_local: bool = Field(False, description="a caching agent on every node (NodeLocal DNSCache)")
    corefile: str | None = Field(None, description="path of a Corefile, or its text")
    resolver: Literal["glibc", "musl", "go"] = "glibc"
    ndots: int | None = Field(None, ge=0, le=15, description="override of ndots for all pods")
    fqdn: bool = Field(False, description="clients ask for the full name with a final dot: no search list")
    lookups: Literal["per-connection", "none"] = Field("per-connection", description="when clients resolve")
    upstream_latency: Seconds = Field(2e-3, description="round trip to the resolver outside the cluster")
    host_search: tuple[str, ...] = Field(
        (), max_length=32, description="search domains of the nodes' resolv.conf, appended to those of pods"
    )
    loss: float = Field(0.0, ge=0, lt=1, description="share of DNS datagrams lost besides full queues")
    clash: Literal["dropped", "same-backend", "resolved"] = Field(
        "resolved",
        description="what nodes' kernels do with A and AAAA of one socket racing through a Service's translation: "
        "dropped (before 5.0), kept with the same backend (5.0 to 5.6), resolved (from 5.7)",
    )
    racing: float = Field(
        0.01, ge=0, le=1, description="share of such pairs that two cores work on at the same time (assumed)"
    )


class ClosedLoop(Spec):
    """Clients that wait for the answer before they ask again."""

    concurrency: int = Field(1, ge=1, description="requests in flight a client pod")
    think: Duration = Field(NO_WORK, description="pause between an answer and the next request")


class ReadsSpec(Spec):
    """How fast applications take in what they receive over TCP; default: as soon as it is there.

    A reader slower than the data comes fills its receive buffer, whose window closes; then its sender waits.
    """

    request: Annotated[BitsPerSecond, Field(gt=0)] | None = Field(
        None, description="rate at which the server takes in requests (a disk, a parser)"
    )
    response: Annotated[BitsPerSecond, Field(gt=0)] | None = Field(
        None, description="rate at which the client takes in responses (a slow consumer of a download)"
    )


class CallSpec(Spec):
    """A call a server makes before it answers."""

    to: str = Field(description="service: name, namespace/name, optionally :port")
    request: Size = Constant(value=1024)
    response: Size = Constant(value=1024)
    work: Duration = Field(NO_WORK, description="time the receiver's core works on the request")
    reads: ReadsSpec = ReadsSpec()
    connection: Literal["per-request", "keep-alive"] = "keep-alive"
    count: int = Field(1, ge=1, le=100, description="calls one after another")
    probability: float = Field(1.0, gt=0, le=1, description="share of requests that make this call")
    parallel: bool = Field(False, description="start together with the call before it")
    then: tuple[CallSpec, ...] = ()


def _rate(value: Any) -> Any:
    """Allow ``rate: 50/s`` (per client pod) beside ``rate: {per_service: 50/s}``."""
    if isinstance(value, dict) and len(value) == 1:
        return {str(key).replace("-", "_"): item for key, item in value.items()}
    return value if isinstance(value, BaseModel) else {"per_pod": value}


class Rate(Spec):
    """How often: per client pod, or for all clients of the entry together."""

    per_pod: PerSecond | None = None
    per_service: PerSecond | None = None

    @model_validator(mode="after")
    def _one(self) -> Rate:
        if (self.per_pod is None) == (self.per_service is None):
            raise ValueError("a rate is stated once|a quantity such as 50/s, {per_pod: 50/s} or {per_service: 50/s}")
        return self


class TrafficSpec(CallSpec):
    """Who calls whom, how often, how much."""

    source: str = Field(
        alias="from",
        description="workload or service: name or namespace/name; 'external' for clients outside; 'all' for every pod",
    )
    to: str = Field("", description="service: name, namespace/name, optionally :port; for kind dns the name asked for")
    name: str = Field("", description="name of the edge in tables; default 'from->to'")
    kind: Literal["rpc", "udp", "stream", "dns"] = "rpc"
    rate: Annotated[Rate, BeforeValidator(_rate)] = Rate.model_validate({"per_pod": "10/s"})
    connection: Literal["per-request", "keep-alive"] = "per-request"
    pool: int = Field(8, ge=1, description="connections a client pod keeps to a service, with keep-alive")
    closed: ClosedLoop | None = Field(None, description="closed loop instead of a rate")
    streams: int = Field(1, ge=1, description="parallel connections a client pod, kind stream")
    writes: Annotated[Bytes, Field(gt=0)] | None = Field(
        None,
        description="bytes a send call of kind stream hands over; less than a socket buffer's is appended to one; "
        "default: a whole buffer",
    )
    entry: Literal["cluster-ip", "node-port", "load-balancer"] = Field(
        "load-balancer", description="how external clients enter"
    )

    @model_validator(mode="after")
    def _reads_and_writes_what_there_is(self) -> TrafficSpec:
        if self.kind in ("udp", "dns") and self.reads != ReadsSpec():
            raise ValueError("reads are of TCP: datagrams that nobody reads are lost|kind rpc or stream")
        if self.kind != "stream" and self.writes is not None:
            raise ValueError("a request is handed over by one call|writes: ... with kind stream")
        if self.kind == "stream" and self.reads.response is not None:
            raise ValueError("a stream has no responses to read|reads: {request: ...}")
        return self

    @property
    def label(self) -> str:
        """Name of the edge in tables."""
        return self.name or f"{self.source}->{self.to}"


class RunSpec(Spec):
    """How the scenario is run: nothing here changes what is modelled."""

    replications: int = Field(5, ge=1, le=100_000)
    seed: int = Field(1, ge=0)
    precision: Fraction | None = Field(None, description="add replications until intervals are this narrow")
    max_replications: int = Field(200, ge=1, description="budget for precision")
    duration: Annotated[Seconds, Field(gt=0)] | Literal["auto"] = Field(
        "auto", description="simulated time measured; auto: enough samples"
    )
    warmup: Seconds | Literal["auto"] = Field("auto", description="simulated time dropped; auto: MSER-5")
    transactions: int = Field(2000, ge=20, description="recorded transactions a replication aims at with duration auto")
    clients: Annotated[int, Field(ge=1)] | Literal["auto", "all"] = Field(
        "auto", description="client pods followed; the rest is background"
    )
    followed_clients: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto",
        description="with clients auto: client pods followed over all edges. Where eight of each edge (or all it has) "
        "are more, edges are drawn by rate; those not drawn are background, without figures of their own. Auto: as "
        "many as bring the wanted transactions in one second (or the stated duration), from 250 to 1,000",
    )  # fmt: skip


class ToleranceSpec(Spec):
    """When a figure counts as changed."""

    default: Fraction = 0.02
    metrics: Mapping[str, Fraction] = Field(default_factory=dict)


class Scenario(Spec):
    """One question about one cluster."""

    name: str = "scenario"
    question: str = ""
    cluster: ClusterSpec
    network: NetworkSpec = NetworkSpec()
    dns: DnsSpec = DnsSpec()
    traffic: tuple[TrafficSpec, ...] = Field((), description="empty: inferred from the manifests")
    inferred_rate: PerSecond = Field(10.0, description="rate of inferred traffic per client pod")
    faults: tuple[Fault, ...] = Field((), description="what breaks during the run, and when")
    convergence: ConvergenceSpec = ConvergenceSpec()
    run: RunSpec = RunSpec()
    sweep: Mapping[str, tuple[Any, ...]] = Field(default_factory=dict, description="dotted key: levels")
    what_if: Mapping[str, tuple[Any, ...]] = Field(default_factory=dict, description="dotted key: alternatives")
    slo: tuple[str, ...] = ()
    tolerances: ToleranceSpec = ToleranceSpec()

    _document: Mapping[str, Any] = PrivateAttr(default_factory=dict)
    _directory: str = PrivateAttr(default=".")
    _origin: Origin = PrivateAttr(default_factory=Origin)

    @field_validator("sweep", "what_if", mode="before")
    @classmethod
    def _levels(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        for key, levels in value.items():
            if not isinstance(levels, list | tuple) or not levels:
                raise ValueError(f"{key}: levels are a list with at least one value|[10, 100, 1000]")
        return {str(key): tuple(levels) for key, levels in value.items()}

    @field_validator("slo", mode="before")
    @classmethod
    def _one_objective(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("slo")
    @classmethod
    def _objectives(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            parse_objective(text)
        return value

    @property
    def document(self) -> Mapping[str, Any]:
        """The scenario as it was written (with ``--set`` applied): what a manifest stores and sweeps change."""
        return self._document

    @property
    def directory(self) -> Path:
        """Directory that relative paths in the scenario start from."""
        return Path(self._directory)

    @property
    def file(self) -> str:
        """File the scenario was read from, empty when built in memory."""
        return self._origin.file

    @property
    def origin(self) -> Origin:
        """Where the scenario's values were written."""
        return self._origin

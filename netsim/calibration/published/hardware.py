"""The hardware of a publication, as it states it, and what netsim's model takes from it."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from netsim.calibration.published.clouds import instance_named, processors, provided
from netsim.cluster.objects import Interrupts, IptablesTool, Machine, TransmitQueue, release
from netsim.errors import InputError
from netsim.units import bits_per_second, seconds


class Hardware(BaseModel):
    """A pair of equal hosts.

    Parameters
    ----------
    description: the publication's own words; what they say and no other key does is taken from them (`stated_in`).
    cores, clock_ghz: logical CPUs, and the clock under load; without a clock the profile's own is taken.
    nic: line rate (``100Gbit/s``), or ``none`` where no card is in the way (virtio on one hypervisor).
    mtu, queues, ring, tso, gro, checksum, tunnel: as for a scenario's machine.
    virtual: virtual machines.
    kernel: release, as ``5.10``.
    latency: one way between the hosts, beyond the cards; by default a cable, or a cloud's network for machines there.
    interrupts: which cores the card wakes, as for a scenario's machine; a row's ``offload=arfs`` wins.
    completions: how long the card holds back the interrupt that tells of sent packets; a sender of datagrams waits for
        it once its send buffer is full. Cards whose drivers do so for long are known by name (`SLOW_TO_TELL`).
    conntrack: True where the bare machine's own traffic passes netfilter and conntrack.
    flow: rate that the network holds one flow to (``5Gbit/s``); by default what the provider of an instance says.
    iptables: back-end of the nodes' iptables; legacy where the description names a system without nf_tables.
    credits: share of a processor that a burstable instance has once its credits are spent; 1 for others.
    transmit_queue: as for a scenario's machine. Physical cards' drivers go by the core (XPS), but where answers follow
        a flow to its core (`FOLLOWING`) that core sends all of it; virtual ones are taken to go by the flow.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    cores: int = Field(default=16, gt=0)
    clock_ghz: float | None = Field(default=None, gt=0)
    nic_bps: float | None = Field(default=25e9, alias="nic")
    mtu: int = Field(default=1500, ge=576)
    queues: int | None = None
    ring: int = 1024
    tso: bool = True
    gro: bool = True
    checksum: bool = True
    tunnel: bool | None = None
    virtual: bool = False
    kernel: str = ""
    latency_s: float | None = Field(default=None, alias="latency")
    interrupts: Interrupts = "hashed"
    completions_s: float = Field(default=0.0, alias="completions")
    conntrack: bool = False
    flow_bps: float | None = Field(default=None, alias="flow")
    credits: float = Field(default=1.0, gt=0, le=1)
    transmit_queue: TransmitQueue | None = None
    iptables: IptablesTool = "nft"

    @model_validator(mode="before")
    @classmethod
    def _described(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("description"), str):
            return value
        return {**stated_in(value["description"]), **value}

    @field_validator("nic_bps", "flow_bps", mode="before")
    @classmethod
    def _rate(cls, value: Any) -> Any:
        if value is None or value == "none":
            return None
        try:
            return bits_per_second(value)
        except InputError as error:
            raise ValueError(str(error)) from None

    @field_validator("latency_s", "completions_s", mode="before")
    @classmethod
    def _time(cls, value: Any) -> Any:
        try:
            return None if value is None else seconds(value)
        except InputError as error:
            raise ValueError(str(error)) from None

    @property
    def one_way_s(self) -> float:
        """Latency between the hosts: as stated, else a cable's, or that of a cloud's network."""
        if self.latency_s is not None:
            return self.latency_s
        return CLOUD_S if self.distance_unstated else CABLE_S

    @property
    def distance_unstated(self) -> bool:
        """Whether a provider's network of unknown size lies between the hosts."""
        return self.latency_s is None and self.virtual and self.nic_bps is not None

    @property
    def line_stated(self) -> bool:
        """Whether the publication, or a provider, says what the line carries."""
        return "nic_bps" in self.model_fields_set

    @property
    def tunnels(self) -> frozenset[Tunnels]:
        """What cards may do otherwise for packets in tunnels than the model takes where nothing is said of them."""
        if self.tunnel is not None or _OWN_CARD.search(self.description):
            return frozenset()
        version = self.kernel_version
        whole = _GUEST_SEGMENTS[1] <= version if version is not None else True
        if not self.virtual:
            return frozenset({"cut"})
        if _GUEST_SEGMENTS[0].search(self.description):
            return frozenset({"whole"} if whole else ())
        if _HYPER_V.search(self.description):
            return frozenset({"unmerged"})
        return frozenset({"unmerged", "whole"} if whole else {"unmerged"})

    @property
    def hashes_inside(self) -> bool:
        """Whether the card picks a queue by the inner packet's ports where a tunnel's outer header has none (IPIP)."""
        card, since = _HASHES_INSIDE
        return card.search(self.description) is not None and (self.kernel_version or since) >= since

    @property
    def tuned(self) -> bool:
        """Whether the publication says that cores do not sleep deeply."""
        return _TUNED.search(self.description) is not None

    @property
    def kernel_version(self) -> tuple[int, int] | None:
        """Major and minor release, if stated."""
        return release(self.kernel)

    @property
    def profile(self) -> str:
        """The cost profile that suits: virtual machines, kernels before 5.0, else a server."""
        if self.virtual:
            return "cloud-small" if self.cores <= 2 and self.nic_bps is not None else "vm-virtio"
        version = self.kernel_version
        return "kernel-old" if version is not None and version < (5, 0) else "server"

    def machine(self, profile_ghz: float) -> Machine:
        """Return the machine of the model; tunnel offload is what separates cards from paravirtual ones."""
        return Machine(
            cores=self.cores,
            clock_ghz=self.clock_ghz or profile_ghz,
            nic_bps=self.nic_bps or VIRTUAL_BPS,
            queues=self.queues or self.cores,
            ring=self.ring,
            interrupts=self.interrupts,
            transmit_queue=self.transmit_queue or ("flow" if self.virtual else "core"),
            mtu=self.mtu,
            tso=self.tso,
            gro=self.gro,
            checksum=self.checksum,
            tunnel=self.tunnel if self.tunnel is not None else not self.virtual,
            kernel=self.kernel_version,
            iptables=self.iptables,
        )


Tunnels = Literal["whole", "cut", "unmerged"]
"""Cards segment inside tunnels; leave it to the stack, which merges again behind the tunnel; or nothing is merged."""
_OWN_CARD = re.compile(
    r"Mellanox|ConnectX|BlueField|mlx[45]|\bE8[12]0|\bX?X?L?7[12]0|i40e|\bice\b|bnxt|Chelsio|virtio|\bENA\b|gVNIC|"
    r"\bEC2\b|\bAWS\b|\bEKS\b|\bGCE\b|\bGCP\b|\bGKE\b", re.IGNORECASE
)  # fmt: skip
"""Cards, and drivers of guests, of which is known what they do: the drivers of these cards segment inside VXLAN
(NETIF_F_GSO_UDP_TUNNEL in Linux drivers/net/ethernet), virtio, ENA and Google's do not and are merged by NAPI."""
_GUEST_SEGMENTS = re.compile(r"VMware|vmxnet3|vCenter|vSphere|\bESXi?\b", re.IGNORECASE), (5, 8)
"""VMware's card segments inside VXLAN and Geneve from its version 4 on, if the guest's driver knows (Linux 5.8,
drivers/net/vmxnet3, commit dacce2be3312)."""
_HYPER_V = re.compile(r"Hyper-V|netvsc|Azure|\bAKS\b", re.IGNORECASE)
"""Their card segments no tunnel (drivers/net/hyperv), and had no NAPI before Linux 4.12 (15a863bf7436)."""
_HASHES_INSIDE = re.compile(r"ConnectX-?[4-9]|BlueField|mlx5", re.IGNORECASE), (5, 4)
"""Cards whose driver spreads IPIP by the inner packet, from a kernel on (drivers/net/ethernet/mellanox/mlx5,
a795d8db2a6d)."""
CABLE_S = 0.5e-6
"""One way through a cable or one switch."""
CLOUD_S = 12e-6
"""One way through a cloud's network: two virtual switches and a fabric of about three stages, some 2.5 us each."""
VIRTUAL_BPS = 1e12
"""Stands for a virtual link that has no line rate of its own."""


def described(text: str) -> Hardware:
    """Return hosts of which only a sentence is known."""
    return Hardware.model_validate({"description": text})


def stated_in(text: str) -> dict[str, Any]:
    """Read what a sentence about a testbed says: clock, cores, line rate, MTU, kernel, whether it is virtual.

    Nothing that is not there is guessed, except that a distribution without a kernel has its own, that a machine
    without a card has the default one, and a provider's what the provider says of it.
    """
    stated: dict[str, Any] = {}
    virtual = (_VIRTUAL.search(text) is not None or instance_named(text)) and _METAL.search(text) is None
    if virtual:
        stated["virtual"] = True
    for key, pattern, convert in _STATED:
        match = re.search(pattern, text, re.IGNORECASE)
        if match and key not in stated:
            stated[key] = convert(match[1])
    if "cores" not in stated and (size := _SIZE.search(text)):
        stated["cores"] = int(size["plain"]) if size["plain"] else processors(size["family"], size["size"])
    own = next((kernel for name, kernel in DISTRIBUTIONS.items() if re.search(name, text)), None)
    if own is not None and "kernel" not in stated:
        stated["kernel"] = own
    if _LEGACY_IPTABLES.search(text):
        stated["iptables"] = "legacy"
    if re.search(_IN_CONTAINERS, text):
        stated["tunnel"], stated["nic"] = True, "none"
    if SLOW_TO_TELL[0].search(text):
        stated["completions"] = SLOW_TO_TELL[1]
    if FOLLOWING.search(text):
        stated["transmit_queue"] = "flow"
    if rate := _LINE.search(text):
        stated["nic"] = f"{rate[1]}{rate[2].upper()}bit/s"
    elif virtual and "virtio" in text:
        stated["nic"] = "none"
    return {**provided(text), **stated}


_IN_CONTAINERS = (
    r"\bkind(?= ?:| clusters?\b| nodes?\b| v?\d)|\b(?:in|with|on|of) kind\b(?! of)|\(kind\)|^kind\b|\bKinD\b|\bk3d\b|"
    r"nodes (?:are|as) containers"
)
"""Clusters whose nodes are containers of one machine: veth pairs between them take a tunnel's buffers whole (Linux
drivers/net/veth.c ``VETH_FEATURES``, ``NETIF_F_GSO_ENCAP_ALL``)."""
_LEGACY_IPTABLES = re.compile(
    r"\bCOS\b|Container-Optimized|\bGCE\b|\bGKE\b|sig-scalability|scalability tests?|Amazon Linux 2\b|iptables-legacy",
    re.IGNORECASE,
)
"""Hosts whose iptables is the legacy one: Google's own distribution, the default of its clusters and of Kubernetes' own
tests, has no nf_tables (`netsim.cluster.reading.node_reader`); Amazon Linux 2 has iptables 1.8.4 of that back-end."""
_VIRTUAL = re.compile(
    r"\bVMs?\b|virtio|vCPU|VMware|Hyper-V|(?i:virtual (?:machine|server)|\bcloud(?!lab)|\binstances?\b|hypervisor|"
    r"\bKVM\b|QEMU|OpenStack|Proxmox|vSphere|vCenter|\bESXi?\b|vmxnet3|VirtualBox|Vagrant|\bXen\b|minikube|"
    r"multipass|Lightsail|Linode|Vultr|\bVPS\b|netvsc|gVNIC)|"
    rf"{_IN_CONTAINERS}|"
    r"\b[a-z]\d[a-z]*\.(?:nano|micro|small|medium|\d*x?large)\b(?!\.)|\b\d+C\d+G\b"
)
_SIZE = re.compile(
    r"\b(?P<family>[a-z]\d[a-z]*)\.(?P<size>nano|micro|small|medium|\d*x?large)\b(?!\.)|\b(?P<plain>\d+)C\d+G\b"
)
"""Sizes of instances as most providers write them, and as processors and memory (``4C8G``)."""
_TUNED = re.compile(
    r"(?<!un)(?<!not )tuned\b|performance governor|governor (?:is )?performance|(?:network|low)[- ]latency|"
    r"C-?states? (?:off|disabled)|no C-?states|idle=poll|busy[- ]?poll|max_cstate", re.IGNORECASE
)  # fmt: skip
_METAL = re.compile(r"bare[- ]?metal|\.metal\b|\bBM\.", re.IGNORECASE)
_STATED: tuple[tuple[str, str, type], ...] = (
    ("clock_ghz", r"(\d+(?:\.\d+)?) ?GHz", float),
    ("cores", r"(\d+) ?(?:threads|hyperthreads)", int),
    ("cores", r"(\d+)[- ]?(?:v?CPUs?|cores?)\b", int),
    ("mtu", r"MTU (?:of )?(\d+)", int),
    ("kernel", r"(?:kernel|Linux) (?:version )?v?(\d+\.\d+)", str),
)
SLOW_TO_TELL = re.compile(r"\bi40e\b|\bX?X?L?710\b", re.I), "126us"
"""Cards whose driver lets the interrupt of a busy queue wait for up to 126 us (Linux drivers/net/ethernet/intel/i40e,
I40E_ITR_ADAPTIVE_MAX_USECS)."""
FOLLOWING = re.compile(r"\b(?:i40e|ixgbe|82599\w*|X5[245]0|X(?:L|XV)?7(?:10|22))\b", re.I)
"""Cards that send a flow's answers to the core it was sent by (application targeted routing, ATR, the default of Linux
drivers/net/ethernet/intel/ixgbe and i40e)."""
_LINE = re.compile(
    r"(\d+(?:\.\d+)?) ?([GM])(?:bits?/s(?:ec)?|bps|b/s|bE|igE|E\b|b\b| (?:NIC|network|Ethernet|card|link|switch))", re.I
)
DISTRIBUTIONS = {
    "Ubuntu 24.04": "6.8", "Ubuntu 22.04": "5.15", "Ubuntu 20.04": "5.4", "Ubuntu 18.04": "4.15", "Ubuntu 16.04": "4.4",
    "Debian (?:GNU/Linux )?12": "6.1", "Debian (?:GNU/Linux )?11": "5.10", "Debian (?:GNU/Linux )?10": "4.19",
    "(?:CentOS|RHEL)(?: Linux)? 7": "3.10", "(?:CentOS|RHEL|Rocky|Alma\\w*)(?: Linux)?(?: Stream)? 8": "4.18",
    "(?:CentOS|RHEL|Rocky|Alma\\w*)(?: Linux)?(?: Stream)? 9": "5.14", "Amazon Linux 2023": "6.1",
}  # fmt: skip
"""The kernel a distribution was released with."""

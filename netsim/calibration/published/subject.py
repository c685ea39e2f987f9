"""What a published configuration is in the model: plugin, proxy mode, and the two ends of the connection.

Names of plugins are read by rules that are data (``netsim/data/published/names.yaml``); a case can add its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from netsim.calibration.published.hardware import Hardware, Tunnels
from netsim.calibration.published.policies import NO_POLICIES, Policies, policies_of
from netsim.calibration.published.rulesets import Chain, chain_of, list_of
from netsim.calibration.published.setting import Setting
from netsim.cluster.service_rules import ProxyMode
from netsim.datapath.encryption import CIPHERS, Cipher
from netsim.datapath.plugin import Plugin, combination, load_plugin
from netsim.datapath.rule_list import RuleList
from netsim.errors import InputError, Place

End = Literal["pod", "host", "external"]
Tunnel = Literal["vxlan", "geneve", "ipip", "wireguard", "ipsec"]
TUNNELS: tuple[Tunnel, ...] = ("wireguard", "ipsec", "vxlan", "geneve", "ipip")
NO_TUNNEL = ("", "none", "no", "off", "unknown", "native", "direct", "cross-subnet", "crosssubnet")
"""What rows write where nodes of one subnet wrap nothing, or where they do not say."""
SPELLED: Mapping[Cipher, str] = {"wireguard": r"wireguard|\bwg\b", "ipsec": r"ipsec|\besp\b|xfrm"}
FROM_FILE = re.compile(r"\bsendfile\b|(?:^|\s)-\w*Z\b|--?zero-?copy\b|TCP_SENDFILE")
"""What a row's tool is called where it sends a file's pages: iperf3 -Z, netperf's TCP_SENDFILE."""
OUTSIDE = re.compile(r"\bvpp\b|dpdk|flannel.*\budp\b|sleeve|nsx|contrail|tungsten")
"""Data planes that pass the kernel by, or are a program's: nothing of the model prices them."""
CHECKSUM_FIXED = (5, 7)
"""Kernel in which checksum offload of VXLAN devices is reliable; older ones make Calico turn it off (its feature
detection, ``ChecksumOffloadBroken``)."""
CHECKSUM_OFF = ((3, 25), (3, 29))
"""From the first release on and before the second Calico turned it off whatever the kernel (calico pull requests 6842
of 2022 and 8746 of 2024)."""


class _Rule(BaseModel):
    """One line of ``names.yaml``: patterns that must all be found, and what is then meant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cni: str = ""
    encapsulation: str = ""
    proxy: str = ""
    plugin: str
    takes: str = ""
    before: tuple[int, int] | None = None
    tracked: bool = False
    kernel: tuple[int, int] | None = None
    older: str = ""
    ends: Literal["", "pod"] = ""
    mtu: int | None = None
    note: str = ""

    def fits(self, setting: Setting) -> bool:
        release = release_of(setting)
        if self.before is not None and (release is None or release >= self.before):
            return False
        wanted = {"cni": self.cni, "encapsulation": self.encapsulation, "proxy": self.proxy}
        return all(
            re.search(pattern, setting.text(key).lower()) is not None for key, pattern in wanted.items() if pattern
        )


class _Names(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    plugins: tuple[_Rule, ...]
    proxies: Mapping[str, ProxyMode]
    paths: Mapping[str, str] = Field(default_factory=dict)
    words: frozenset[str] = frozenset()


def release_of(setting: Setting) -> tuple[int, int] | None:
    """Return the release a plugin's name states, ``None`` without one."""
    found = re.search(r"(\d+)\.(\d+)", setting.text("cni"))
    return (int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured, in the model's terms.

    ``service`` says that the client addresses a Service; ``checksum`` is False where the tunnel device computes
    checksums in software, which also ends segmentation offload.
    """

    plugin: Plugin
    proxy: ProxyMode
    source: End = "pod"
    target: End = "pod"
    same_node: bool = False
    service: bool = False
    hairpin: bool = False
    gateway: bool = False
    checksum: bool = True
    segmentation: bool = True
    """Buffers of many segments leave the socket."""
    merging: bool = True
    """Receivers merge segments."""
    steered: bool = False
    """Flow steering puts the card's work on the program's own core."""
    from_file: bool = False
    """Senders send a file's pages (sendfile)."""
    tunnels: Tunnels | None = None
    """What cards do for packets in tunnels; `None`: as the machine's."""
    services: int = 0
    endpoints: int = 1
    policies: Policies = NO_POLICIES
    rules: RuleList | None = None
    """Somebody's own list that packets of the connection walk."""
    chain: Chain = "input"
    """Where that is: at the server, at the client's way out, or on the server's node both ways."""

    @property
    def bare(self) -> bool:
        """Both ends are processes of hosts and no plugin is in between."""
        return self.plugin.name in ("bare", "bare-tracked")

    @property
    def key(self) -> tuple[object, ...]:
        """What paths depend on."""
        return (
            self.plugin.name, self.plugin.encapsulation, self.proxy, self.source, self.target, self.same_node,
            self.service, self.hairpin, self.gateway, self.checksum, self.segmentation, self.merging, self.steered,
            self.from_file, self.tunnels, self.services, self.endpoints, self.policies, self.rules, self.chain,
        )  # fmt: skip


@lru_cache(maxsize=1)
def _names() -> _Names:
    text = (resources.files("netsim") / "data" / "published" / "names.yaml").read_text(encoding="utf-8")
    return _Names.model_validate(yaml.safe_load(text))


def _built(setting: Setting, key: str, default: int) -> int:
    """Return how many objects the testbed's cluster gets; each is made, so their number has an end."""
    number = setting.count(key, default)
    if not 0 <= number <= MOST_OBJECTS:
        raise InputError("so many are not built", place=Place(field=f"configuration.{key}"), got=f"{number:,}",
                         allowed=f"at most {MOST_OBJECTS:,}")  # fmt: skip
    return number


MOST_OBJECTS = 500_000


def subject_of(setting: Setting, hardware: Hardware, names: Mapping[str, Mapping[str, str]] | None = None) -> Subject:
    """Return what a row measures.

    Parameters
    ----------
    setting: the row's configuration.
    hardware: the testbed; the kernel decides whether tunnel devices can offload checksums.
    names: the case's own names: ``cni`` value to any of ``plugin``, ``proxy``, ``encapsulation``, ``path``.

    Raises
    ------
    InputError
        When a name means nothing to the rules, or plugin and proxy cannot be combined.
    """
    own = (names or {}).get(setting.text("cni"), {})
    setting = _wrapped(setting.but(**{key: value for key, value in own.items() if key != "plugin"}))
    rule = _rule(setting, own.get("plugin", ""))
    plugin = _encapsulated(_tracked(_plugin(rule.plugin), rule), setting.text("encapsulation"))
    tokens = _path(setting, plugin)
    segmentation, merging = _ladder(setting)
    source, target = _ends([token for token in tokens if token in ENDS], rule, tokens)
    same_node = "same" in tokens or "hairpin" in tokens
    if plugin.name == "bare" and "pod" in (source, target):
        plugin = load_plugin("kubenet")
    if rule.mtu is not None:
        plugin = plugin.changed(mtu_bytes=rule.mtu, name=f"{plugin.name}+{rule.mtu}")
    plugin = _programmed(plugin, setting)
    if plugin.name == "bare" and (hardware.conntrack or setting.text("conntrack") == "on"):
        plugin = _plugin("bare-tracked")
    return Subject(
        plugin=plugin,
        proxy=_proxy(setting, rule, plugin, hardware),
        source=source,
        target=target,
        same_node=same_node,
        service="service" in tokens or "hairpin" in tokens,
        hairpin="hairpin" in tokens,
        gateway="gateway" in tokens,
        checksum=_checksums(setting, plugin, hardware, wrapped="pod" in (source, target) and not same_node),
        segmentation=segmentation,
        merging=merging,
        steered=hardware.interrupts == "steered" or _aimed(setting),
        from_file=FROM_FILE.search(setting.text("tool")) is not None,
        services=_built(setting, "services", 0),
        endpoints=_built(setting, "endpoints_per_service", 1),
        policies=policies_of(setting),
        rules=list_of(setting, hardware),
        chain=chain_of(setting),
    )


def _wrapped(setting: Setting) -> Setting:
    """Return the setting with the tunnel that its own key or the plugin's name says. Raises `InputError`."""
    cni, stated = setting.text("cni").lower(), setting.text("encapsulation").lower().replace("ip-in-ip", "ipip")
    ciphers = (cipher for cipher in CIPHERS for told in (cni, stated) if re.search(SPELLED[cipher], told))
    cipher = next(ciphers, None)
    if cipher is not None:
        stated = cipher
    elif "encrypt" in cni + stated:
        raise InputError("which encryption is not said", place=Place(field="configuration.encapsulation"), got=stated,
                         allowed=", ".join(CIPHERS))  # fmt: skip
    if OUTSIDE.search(cni):
        raise InputError("the model has no data plane outside the kernel", place=Place(field="configuration.cni"),
                         got=cni)  # fmt: skip
    if stated in ("", "unknown"):
        bare = re.search(r"no-?encap", cni) is not None
        told = "none" if bare else next((kind for kind in TUNNELS if kind in cni), "")
        return setting.but(encapsulation=told) if told else setting
    if stated not in NO_TUNNEL and stated not in TUNNELS:
        raise InputError("no such tunnel in the model", place=Place(field="configuration.encapsulation"), got=stated,
                         allowed=f"none, {', '.join(TUNNELS)}")  # fmt: skip
    return setting.but(encapsulation="none" if stated in NO_TUNNEL else stated)


def _rule(setting: Setting, stated: str) -> _Rule:
    if stated:
        return _Rule(plugin=stated)
    for rule in _names().plugins:
        if rule.fits(setting):
            return rule
    raise InputError(
        "this name of a plugin is not known; state what it is under names in case.yaml",
        place=Place(field="configuration.cni"), got=setting.text("cni"),
    )  # fmt: skip


def _plugin(name: str) -> Plugin:
    special = resources.files("netsim") / "data" / "published" / "plugins" / f"{name}.yaml"
    if special.is_file():
        with resources.as_file(special) as path:
            return load_plugin(str(path))
    return load_plugin(name)


def _tracked(plugin: Plugin, rule: _Rule) -> Plugin:
    """Let the node's conntrack see tunnel packets where the rule says that the release did."""
    if not rule.tracked or plugin.encapsulation is None:
        return plugin
    tunnel = plugin.encapsulation.model_copy(update={"underlay_conntrack": True})
    return plugin.changed(encapsulation=tunnel, name=f"{plugin.name}+tracked")


def _programmed(plugin: Plugin, setting: Setting) -> Plugin:
    """Return Cilium's data path where a row has Services in eBPF beside a plugin that leaves them to kube-proxy.

    Such clusters run Cilium's agent on the plugin's pods (chaining), so packets meet its programs.
    """
    wanted = _stated_proxy(setting)
    if wanted != "ebpf" or combination(plugin, "ebpf") is None or plugin.name.startswith("bare"):
        return plugin
    return _plugin("cilium-native" if plugin.encapsulation is None else "cilium-vxlan")


def _stated_proxy(setting: Setting) -> ProxyMode | None:
    """Return the mode a row states: the whole word, else a part of it."""
    stated, known = setting.text("proxy").lower(), _names().proxies
    return known.get(stated, next((mode for name, mode in known.items() if name in stated), None))


def _encapsulated(plugin: Plugin, kind: str) -> Plugin:
    """Exchange the plugin's tunnel for the one the row names, or leave it out where it says ``none``."""
    known, wanted = plugin.encapsulation, next((tunnel for tunnel in TUNNELS if tunnel == kind), None)
    if known is not None and kind == "none":
        return plugin.changed(encapsulation=None, name=f"{plugin.name}+none")
    if known is None or wanted is None or known.kind == wanted:
        return plugin
    outer = "per-node-pair" if wanted == "ipip" else "per-flow"
    tunnel = known.model_copy(update={"kind": wanted, "outer_tuple": outer})
    return plugin.changed(encapsulation=tunnel, name=f"{plugin.name}+{wanted}")


def _path(setting: Setting, plugin: Plugin) -> list[str]:
    """Return the words of a path. Raises `InputError` for one that says nothing to the rules."""
    text = re.sub(r"[^a-z0-9]+", "-", setting.text("path").lower()).strip("-")
    for words, meant in _names().paths.items():
        text = re.sub(rf"(?<![a-z])(?:{words})(?![a-z])", meant, text)
    usual = "host-host" if plugin.name == "bare" else "pod-pod-cross-node"
    tokens = [token for token in text.split("-") if token] or usual.split("-")
    strange = [token for token in tokens if token not in _names().words]
    if strange:
        raise InputError("this path is not known", place=Place(field="configuration.path"), got=setting.text("path"),
                         allowed=", ".join(sorted(_names().words)))  # fmt: skip
    return tokens


ENDS: tuple[End, ...] = ("pod", "host", "external")


def _ends(ends: list[str], rule: _Rule, tokens: list[str]) -> tuple[End, End]:
    if rule.ends == "pod":
        return "pod", "pod"
    first: End = next((end for end in ENDS if ends[:1] == [end]), "pod")
    last: End = next((end for end in ENDS if ends[1:] and ends[-1] == end), first)
    return first, "pod" if "service" in tokens else last


def _proxy(setting: Setting, rule: _Rule, plugin: Plugin, hardware: Hardware) -> ProxyMode:
    version = hardware.kernel_version
    too_old = rule.kernel is not None and version is not None and version < rule.kernel
    decided = _names().proxies.get(rule.older if too_old else rule.takes)
    wanted = decided or _stated_proxy(setting) or plugin.usual_proxy
    return plugin.usual_proxy if combination(plugin, wanted) else wanted


def _ladder(setting: Setting) -> tuple[bool, bool]:
    """Return whether segments are cut late and merged early, where a row lists the offloads that are on."""
    listed = re.split(r"[^a-z0-9]+", setting.text("offload").lower())
    ladder = {"no", "noopts", "none", "tso", "gso", "gro", "lro", "jumbo", "arfs", "all", "off"} & set(listed)
    if not ladder or "checksum" in listed:
        return True, True
    everything = "all" in listed
    return bool(everything or {"tso", "gso"} & ladder), bool(everything or {"gro", "lro"} & ladder)


def _aimed(setting: Setting) -> bool:
    """Tell whether a row lists flow steering among the offloads that are on."""
    return bool({"arfs", "all"} & set(re.split(r"[^a-z]+", setting.text("offload").lower())))


def _checksums(setting: Setting, plugin: Plugin, hardware: Hardware, *, wrapped: bool) -> bool:
    """Tell whether the devices that packets meet have checksum offload; tunnels only do where they are wrapped."""
    offload = setting.text("offload").lower()
    if re.search(r"checksum[-_ ]?(?:offload)?[-_ ]?off\b", offload):
        return False
    version, release = hardware.kernel_version, release_of(setting)
    old = version is not None and version < CHECKSUM_FIXED
    off = release is not None and CHECKSUM_OFF[0] <= release < CHECKSUM_OFF[1]
    vxlan = plugin.encapsulation is not None and plugin.encapsulation.kind == "vxlan"
    calicos = plugin.name.startswith("calico") and "canal" not in setting.text("cni").lower()  # Canal's is Flannel's
    return not ((old or off) and vxlan and calicos and wrapped)

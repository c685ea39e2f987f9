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

from netsim.calibration.published.hardware import Hardware
from netsim.calibration.published.setting import Setting
from netsim.cluster.service_rules import ProxyMode
from netsim.datapath.plugin import Plugin, combination, load_plugin
from netsim.errors import InputError, Place

End = Literal["pod", "host", "external"]
TUNNELS: tuple[Literal["vxlan", "geneve", "ipip"], ...] = ("vxlan", "geneve", "ipip")
ENCRYPTED = ("wireguard", "ipsec", "esp")
CHECKSUM_FIXED = (5, 7)
"""Kernel in which checksum offload of VXLAN devices is reliable; older ones make Calico turn it off (its feature
detection, ``ChecksumOffloadBroken``)."""


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
    note: str = ""

    def fits(self, setting: Setting) -> bool:
        release = re.search(r"(\d+)\.(\d+)", setting.text("cni"))
        if self.before is not None and (release is None or (int(release[1]), int(release[2])) >= self.before):
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
    services: int = 0
    endpoints: int = 1

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
            self.services, self.endpoints,
        )  # fmt: skip


@lru_cache(maxsize=1)
def _names() -> _Names:
    text = (resources.files("netsim") / "data" / "published" / "names.yaml").read_text(encoding="utf-8")
    return _Names.model_validate(yaml.safe_load(text))


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
    setting = setting.but(**{key: value for key, value in own.items() if key != "plugin"})
    if setting.text("encapsulation").lower() in ENCRYPTED:
        raise InputError(
            "the model prices no encryption", place=Place(field="configuration.encapsulation"),
            got=setting.text("encapsulation"),
        )  # fmt: skip
    if re.search(r"\bl7\b", setting.text("policy").lower()):
        raise InputError("the model has no proxy that reads requests", place=Place(field="configuration.policy"),
                         got=setting.text("policy"))  # fmt: skip
    rule = _rule(setting, own.get("plugin", ""))
    plugin = _encapsulated(_tracked(_plugin(rule.plugin), rule), setting.text("encapsulation").lower())
    tokens = _path(setting, plugin)
    segmentation, merging = _ladder(setting)
    source, target = _ends([token for token in tokens if token in ENDS], rule, tokens)
    if plugin.name == "bare" and "pod" in (source, target):
        plugin = load_plugin("kubenet")
    if plugin.name == "bare" and (hardware.conntrack or setting.text("conntrack") == "on"):
        plugin = _plugin("bare-tracked")
    return Subject(
        plugin=plugin,
        proxy=_proxy(setting, rule, plugin, hardware),
        source=source,
        target=target,
        same_node="same" in tokens or "hairpin" in tokens,
        service="service" in tokens or "hairpin" in tokens,
        hairpin="hairpin" in tokens,
        gateway="gateway" in tokens,
        checksum=_checksums(setting, plugin, hardware),
        segmentation=segmentation,
        merging=merging,
        steered=hardware.interrupts == "steered" or _aimed(setting),
        services=setting.count("services", 0),
        endpoints=setting.count("endpoints_per_service", 1),
    )


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
    text = setting.text("path").lower()
    text = _names().paths.get(text, text) or ("host-host" if plugin.name == "bare" else "pod-pod-cross-node")
    return re.split(r"[-_ ]+", text)


ENDS: tuple[End, ...] = ("pod", "host", "external")


def _ends(ends: list[str], rule: _Rule, tokens: list[str]) -> tuple[End, End]:
    if rule.ends == "pod":
        return "pod", "pod"
    first: End = next((end for end in ENDS if ends[:1] == [end]), "pod")
    last: End = next((end for end in ENDS if ends[1:] and ends[-1] == end), first)
    return first, "pod" if "service" in tokens else last


def _proxy(setting: Setting, rule: _Rule, plugin: Plugin, hardware: Hardware) -> ProxyMode:
    stated = setting.text("proxy").lower()
    version = hardware.kernel_version
    too_old = rule.kernel is not None and version is not None and version < rule.kernel
    known = _names().proxies
    named = (mode for name, mode in known.items() if name in stated)
    wanted = known.get((rule.older if too_old else rule.takes) or stated, next(named, plugin.usual_proxy))
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


def _checksums(setting: Setting, plugin: Plugin, hardware: Hardware) -> bool:
    """Tell whether the device pods send through has checksum offload."""
    offload = setting.text("offload").lower()
    if re.search(r"checksum[-_ ]?(?:offload)?[-_ ]?off\b", offload):
        return False
    version = hardware.kernel_version
    old = version is not None and version < CHECKSUM_FIXED
    vxlan = plugin.encapsulation is not None and plugin.encapsulation.kind == "vxlan"
    return not (old and vxlan and plugin.name.startswith("calico"))

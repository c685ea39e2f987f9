"""What providers say of their virtual machines: MTU, clock, processors, line, what one flow and a credit are worth.

The facts are data (``netsim/data/published/providers.yaml``), with their sources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field


class Family(BaseModel):
    """Instances of a kind: ``lines`` by size, ``by_cores`` from so many processors on, ``shares`` of a processor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clock_ghz: float | None = None
    lines: Mapping[str, float] = Field(default_factory=dict)
    by_cores: Mapping[int, float] = Field(default_factory=dict)
    cores: Mapping[int, int] = Field(default_factory=dict)
    shares: Mapping[str, float] = Field(default_factory=dict)

    def line(self, size: str, cores: int | None) -> float | None:
        """Return the Gbit/s of an instance, ``None`` where the provider states none."""
        reached = [least for least in self.by_cores if cores is not None and least <= cores]
        return self.by_cores[max(reached)] if reached else self.lines.get(size)


class Provider(BaseModel):
    """A provider: how it is named, and what holds for all its instances and for each family. Rates are in Gbit/s."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    named: str
    instance: str = ""
    mtu: int | None = None
    line: float | None = None
    flow: float | None = None
    flow_near: float | None = None
    families: Mapping[str, Family] = Field(default_factory=dict)

    def found(self, text: str) -> re.Match[str] | None:
        """Return the instance that a sentence names."""
        return re.search(self.instance, text) if self.instance else None


@lru_cache(maxsize=1)
def providers() -> tuple[Provider, ...]:
    """Return the providers that are known."""
    text = (resources.files("netsim") / "data" / "published" / "providers.yaml").read_text(encoding="utf-8")
    return tuple(Provider.model_validate(item) for item in yaml.safe_load(text)["providers"])


def provided(text: str) -> dict[str, Any]:
    """Return what a provider says of the machines that a sentence about a testbed names, as keys of the hardware."""
    for provider in providers():
        instance = provider.found(text)
        if instance is not None or re.search(provider.named, text):
            return _told(provider, instance, text)
    return {}


def instance_named(text: str) -> bool:
    """Tell whether a sentence names a virtual machine of a known provider."""
    return any(
        provider.found(text) is not None or re.search(provider.named, text) is not None for provider in providers()
    )


def _told(provider: Provider, instance: re.Match[str] | None, text: str) -> dict[str, Any]:
    groups = instance.groupdict() if instance is not None else {}
    name, size = groups.get("family") or "", groups.get("size") or ""
    if groups.get("kind") is not None:
        # Azure writes "s" for disks in either place: DS3_v2, D4s_v3; sizes of its B series have letters
        name, size = name.rstrip("S") + (groups.get("version") or ""), size + groups["kind"]
    family = provider.families.get(name, Family())
    cores = family.cores.get(_leading(size)) or processors(name, size) if size else None
    near = provider.flow_near if "placement group" in text else None
    line = family.line(size, cores) or provider.line
    told: Mapping[str, Any] = {
        "mtu": provider.mtu,
        "clock_ghz": family.clock_ghz,
        "cores": cores,
        "nic": line and f"{line:g}Gbit/s",
        "flow": (near or provider.flow) and f"{near or provider.flow:g}Gbit/s",
        "credits": family.shares.get(size),
    }
    return {key: value for key, value in told.items() if value is not None}


def processors(family: str, size: str) -> int | None:
    """Return the virtual processors of an instance by its size, ``None`` for a machine that is not shared.

    A size of words has twice the next smaller one's, from two of a ``large`` on; a number is that of processors.
    """
    if _leading(size) and "xlarge" not in size:
        return _leading(size)
    if size == "metal":
        return None
    if "xlarge" in size:
        return 4 * (_leading(size) or 1)
    if size == "large":
        return 2
    # burstable instances of all but the first generation have two from the smallest on, T2 from the medium one on
    return 2 if family.startswith("t") and (size == "medium" or family != "t2") else 1


def _leading(size: str) -> int:
    digits = re.match(r"\d+", size)
    return int(digits[0]) if digits else 0

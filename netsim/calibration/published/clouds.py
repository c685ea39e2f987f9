"""What providers say of their virtual machines: the interface's MTU, and the clock of a family of instances."""

from __future__ import annotations

import re
from typing import Any

_AWS = re.compile(r"(?<![\w.])(?P<family>[a-z]\d+[a-z]*)\.(?:nano|micro|small|medium|\d*x?large|metal)\b(?!\.)")
_GOOGLE = re.compile(r"\b(?P<family>[nec]\d[a-z]?)-(?:standard|high\w+)-\d")
MTUS = (
    (re.compile(rf"\bEC2\b|\bAWS\b|\bEKS\b|{_AWS.pattern}"), 9001),
    (re.compile(rf"\bGCE\b|\bGCP\b|\bGKE\b|Google|{_GOOGLE.pattern}"), 1460),
)
"""MTU of an interface as images get it by DHCP: EC2 instances have jumbo frames (Amazon EC2 User Guide, Network MTU), a
network of Google's 1460 bytes unless it is made with more (VPC documentation, Maximum transmission unit)."""
CLOCKS_GHZ = {
    "m3": 2.5, "c3": 2.8, "r3": 2.5, "t2": 2.3, "m4": 2.4, "c4": 2.9, "r4": 2.3, "t3": 2.5, "m5": 3.1, "m5n": 3.1,
    "r5": 3.1, "c5": 3.4, "c5n": 3.4, "m6i": 3.5, "c6i": 3.5, "r6i": 3.5, "m6a": 3.6, "c6a": 3.6, "m6g": 2.5,
    "c6g": 2.5, "c7g": 2.6, "m7g": 2.6, "n1": 2.3, "n2": 3.4, "c2": 3.8,
}  # fmt: skip
"""Clock under load by family: with turbo on all cores where the provider states it, else the base clock (Amazon EC2
instance types; Google's CPU platforms, where n1 is of four, 2.0 to 2.6 GHz)."""


def provided(text: str) -> dict[str, Any]:
    """Return what a provider says of the machines that a sentence about a testbed names."""
    found: dict[str, Any] = {}
    mtu = next((size for pattern, size in MTUS if pattern.search(text)), None)
    if mtu is not None:
        found["mtu"] = mtu
    family = _AWS.search(text) or _GOOGLE.search(text)
    if family is not None and family["family"] in CLOCKS_GHZ:
        found["clock_ghz"] = CLOCKS_GHZ[family["family"]]
    return found

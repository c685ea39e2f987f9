"""Notes of a study for people: those that differ only in their numbers or places are told once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netsim.study import StudyResult

LEFT_OUT = (
    "retries and timeouts of applications, and the storms they make under overload",
    "TLS, framing and multiplexing of HTTP/2, proxies of service meshes",
    "CPU that pods use beside the stated work",
    "changes of CPU frequency, deep sleep states, memory bandwidth and pressure",
    "firewalls of hosts beside the plugin's own, but for the cost of a list of rules (step rules of a plugin)",
    "congestion control other than Reno and CUBIC, explicit congestion notification",
    "flow control of Ethernet links (PAUSE frames); of several transmit queues all but the order they cost a stream",
    "the control plane's own traffic",
    "switches that fail, routes that change; other tenants of machines and network",
)
"""What the model does not hold."""

_PLACE = re.compile(r" \(([^()]*=[^()]*)\)$")
_NUMBER = re.compile(r"\d[\d.,]*")
_EDGE = re.compile(r"^\S+->\S+:")


def warnings(result: StudyResult) -> list[str]:
    """Return what went wrong or has no effect, failed points first."""
    failed = [f"failed: {reason}" for reason in dict.fromkeys(result.failed.values())]
    told = [note.removeprefix("warning: ") for note in result.notes if note.startswith("warning: ")]
    return [*failed, *gathered(told)]


def assumptions(result: StudyResult) -> list[str]:
    """Return what was assumed, sampled or could not be stated."""
    return gathered([note for note in result.notes if not note.startswith("warning: ")])


def gathered(notes: Sequence[str]) -> list[str]:
    """Tell notes that are alike once, by the first of them, with how many more there are."""
    alike: dict[str, list[str]] = {}
    for note in notes:
        shape = _NUMBER.sub("#", _EDGE.sub("*", _PLACE.sub("", note)))
        alike.setdefault(shape, []).append(note)
    return [_first(group) for group in alike.values()]


def _first(group: Sequence[str]) -> str:
    place = _PLACE.search(group[0])
    text = _PLACE.sub("", group[0])
    if place is not None:
        points = re.sub(r"[\w.]+=", "", place[1].split(";")[0]).replace(" replication", ", replication")
        text += f" (first at {points.strip()})"
    return text if len(group) == 1 else f"{text}; {len(group) - 1} more notes are alike"

"""NetworkPolicies of a published row as objects of the testbed, which the plugin then enforces as it does anywhere."""

from __future__ import annotations

import re
from typing import NamedTuple

from netsim.calibration.published.setting import Setting
from netsim.cluster.objects import NetworkPolicy, Peer, PolicyPort, PolicyRule, Selector

_NONE = ("", "none", "no", "off", "0")
_NUMBERED = re.compile(r"(\d+)[ _-]*(?:network[ _-]?)?(polic|rule|np)|^(\d+)$|(?:polic\w*|np|rules?)[ _-]*(\d+)")
_SOME = re.compile(r"\bl[34]\b|allow|deny|ingress|network-?polic|^(np|cnp|on|one|k8s)$")


class Policies(NamedTuple):
    """The number of policies that select the server, and how many rules each has."""

    number: int = 0
    rules: int = 1


NO_POLICIES = Policies()


def policies_of(setting: Setting) -> Policies:
    """Return the policies a row states: ``policies`` and ``policy_rules``, or ``policy`` in words (``100-policies``).

    Other words under ``policy`` are those of single packets' functions, and no NetworkPolicy.
    """
    rules = max(1, setting.count("policy_rules", 1))
    if "policies" in setting:
        return Policies(setting.count("policies"), rules)
    words = setting.text("policy").lower()
    if words in _NONE:
        return Policies(int("policy_rules" in setting), rules)
    if numbered := _NUMBERED.search(words):
        many = int(numbered[1] or numbered[3] or numbered[4])
        return Policies(1, many) if "rule" in numbered[0] else Policies(many, rules)
    return Policies(1, rules) if _SOME.search(words) else NO_POLICIES


def reads_requests(setting: Setting) -> bool:
    """Tell whether a row's policy is about what requests say (L7), for which each passes a proxy that reads it."""
    return re.search(r"\bl7\b", setting.text("policy").lower()) is not None


def network_policies(asked: Policies, *, from_pod: bool, port: int) -> tuple[NetworkPolicy, ...]:
    """Return policies for the server of which the middle rule lets the client in; all others open other ports.

    Parameters
    ----------
    from_pod: the client is a pod, and is let in by its labels; else anyone is.
    port: of the server, of either protocol.
    """
    peers = (Peer(pod_selector=Selector({"app": "client"})),) if from_pod else ()
    middle = asked.number * asked.rules // 2

    def rule(number: int) -> PolicyRule:
        if number != middle:
            return PolicyRule(peers, (PolicyPort("TCP", FIRST_OTHER + number % OTHERS),))
        return PolicyRule(peers, (PolicyPort("TCP", port), PolicyPort("UDP", port)))

    return tuple(
        NetworkPolicy(
            "default", f"policy-{index:05d}", Selector({"app": "server"}),
            ingress=tuple(rule(index * asked.rules + number) for number in range(asked.rules)),
        )
        for index in range(asked.number)
    )  # fmt: skip


FIRST_OTHER, OTHERS = 10_000, 50_000
"""Ports that nobody asks for."""

"""How long an agent takes to write NetworkPolicies that it enforces with iptables and ipset.

kube-router's are counted here; Calico's restores a table at once, and others' work is not in the model.

What kube-router calls was counted in its source (pkg/controllers/netpol/network_policy_controller.go, before release
1.2): at every sync each policy and each selected pod of the node gets a new chain, and the old one is taken apart.
"""

from __future__ import annotations

import re

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.counted import stated
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.syncing import PODS_PER_NODE, add_rules
from netsim.errors import InputError, Place

CALLS_OF_POLICY = 7
"""Of a policy with one rule: version asked, chain made, rule looked for and added, old chain emptied (2), removed."""
SETS_OF_POLICY, CALLS_OF_SET = 3, 4
"""Of the pods a policy selects (twice) and of those it lets in. A set is made, made again beside itself, exchanged,
destroyed, and takes a call for each member."""
CALLS_OF_POD = 23
"""Of a pod that policies select: chain made, seven rules and jumps looked for and written (14), the old chain's jumps
listed and taken out (5), itself emptied (2) and removed."""
RULES_OF_POD, RULES_OF_POLICY = 8, 2
"""Lines, the chain's own among them."""


def policy_sync(bench: Bench, setting: Setting) -> float:
    """Return seconds in which kube-router writes all policies of a node.

    Releases before 1.2 called a tool for every rule, set and chain, and listed every pod's chain to drop a policy's old
    one; later ones restore the whole table at once.
    """
    cni = setting.text("cni").lower()
    if not re.search("kube-?router|calico|felix|canal|iptables", cni):
        raise InputError("what this agent writes is not in the model", place=Place(field="configuration.cni"), got=cni,
                         allowed="kube-router, calico")  # fmt: skip
    policies, nodes = stated(setting, "policies"), setting.positive("nodes")
    everywhere = setting.number("pods", PODS_PER_NODE * nodes)
    pods = everywhere / nodes
    rules = pods * RULES_OF_POD + policies * RULES_OF_POLICY
    if re.search("restore|calico|felix|canal", cni):
        return bench.factor * (2 * bench.figure("tool.start") + rules * bench.figure("tool.iptables_line"))
    members = SETS_OF_POLICY * everywhere
    calls = policies * (CALLS_OF_POLICY + SETS_OF_POLICY * CALLS_OF_SET + pods) + members + pods * CALLS_OF_POD
    return calls * add_rules(bench, setting.but(rules=str(rules)))

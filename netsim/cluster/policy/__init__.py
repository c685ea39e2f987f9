"""NetworkPolicy: reading it as the API server does, and judging connections by it."""

from netsim.cluster.policy.reader import read_policy, read_selector
from netsim.cluster.policy.report import PolicyTable, policy_table
from netsim.cluster.policy.verdicts import Direction, End, Identity, Outside, Party, Target, Verdicts

__all__ = [
    "Direction",
    "End",
    "Identity",
    "Outside",
    "Party",
    "PolicyTable",
    "Target",
    "Verdicts",
    "policy_table",
    "read_policy",
    "read_selector",
]

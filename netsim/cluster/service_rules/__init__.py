"""Services as kube-proxy and eBPF datapaths implement them: endpoints, rules, answers and walks, one file a mode."""

from netsim.cluster.service_rules.categorize import Choice, categorize
from netsim.cluster.service_rules.config import ProxyConfig, ProxyMode
from netsim.cluster.service_rules.counts import Counts, Ruleset, Site, SyncWork
from netsim.cluster.service_rules.ports import Backend, ServedPort
from netsim.cluster.service_rules.report import RulesReport, inspect_rules
from netsim.cluster.service_rules.table import ServiceTable, service_tables
from netsim.cluster.service_rules.translate import Source, Translation, translate
from netsim.cluster.service_rules.walks import Walk, WalkModel, Where

__all__ = [
    "Backend",
    "Choice",
    "Counts",
    "ProxyConfig",
    "ProxyMode",
    "RulesReport",
    "Ruleset",
    "ServedPort",
    "ServiceTable",
    "Site",
    "Source",
    "SyncWork",
    "Translation",
    "Walk",
    "WalkModel",
    "Where",
    "categorize",
    "inspect_rules",
    "service_tables",
    "translate",
]

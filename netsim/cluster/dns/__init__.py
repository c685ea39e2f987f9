"""Cluster DNS: what CoreDNS answers for the names of a cluster, and why a name does not exist."""

from netsim.cluster.dns.outside import Outside
from netsim.cluster.dns.records import Question, Record, Response, Result
from netsim.cluster.dns.server import (
    LINK_LOCAL_CACHE,
    DnsServer,
    cluster_dns,
    cluster_dns_address,
    node_local_dns,
)

__all__ = [
    "LINK_LOCAL_CACHE",
    "DnsServer",
    "Outside",
    "Question",
    "Record",
    "Response",
    "Result",
    "cluster_dns",
    "cluster_dns_address",
    "node_local_dns",
]

"""The datapath of a scenario: cluster, plugin, proxy, costs and MTU put together, or why they cannot be."""

from __future__ import annotations

import functools
import os
from dataclasses import replace
from pathlib import Path

from netsim.cluster.build import build_cluster
from netsim.cluster.cluster import Cluster
from netsim.cluster.service_rules import ProxyMode
from netsim.datapath.costs import CostProfile, load_profile
from netsim.datapath.datapath import Datapath
from netsim.datapath.limitfacts import ClusterFacts, plugin_facts
from netsim.datapath.limits import Reason, cannot_exist
from netsim.datapath.plugin import Plugin, combination, load_plugin, plugin_names, proxy_without
from netsim.errors import InputError, Place
from netsim.scenario.spec import ClusterSpec, Scenario

Stamp = tuple[tuple[str, int, int], ...]
"""Name, time of change and size of files: what is kept of a scenario is stale once they differ."""


def input_stamp(scenario: Scenario) -> Stamp:
    """Return the stamp of every file the scenario names; of a directory, of all files in it."""
    named = (*scenario.cluster.manifests, scenario.network.plugin, scenario.network.costs)
    paths = [scenario.directory / name for name in named]
    found = [file for path in paths for file in ([path] if path.is_file() else _files_in(path))]
    return tuple((str(file), (stat := file.stat()).st_mtime_ns, stat.st_size) for file in found)


def _files_in(folder: Path) -> list[Path]:
    """Return the files below a folder; ``os.path.isfile`` is false for what may not be looked at."""
    return sorted(path for path in folder.rglob("*") if os.path.isfile(path))  # noqa: PTH113


def cluster_of(scenario: Scenario, *, keep: bool = True) -> Cluster:
    """Return the scenario's cluster. The last few are kept: the points of a sweep mostly share theirs.

    ``keep=False`` builds one for a single look.

    Raises
    ------
    InputError: as `build_cluster`.
    """
    with scenario.origin.placing():
        corefile = _corefile(scenario)
        dns, built = scenario.dns, _cluster if keep else _cluster.__wrapped__
        cluster = built(scenario.cluster, dns.replicas, scenario.directory, corefile, input_stamp(scenario))
        return replace(cluster, host_search=dns.host_search) if dns.host_search else cluster


@functools.lru_cache(maxsize=2)
def _cluster(spec: ClusterSpec, dns_replicas: int | None, directory: Path, corefile: str, stamp: Stamp) -> Cluster:
    cluster = build_cluster(spec, dns_replicas=dns_replicas, directory=directory)
    return replace(cluster, corefile=corefile) if corefile else cluster


def _corefile(scenario: Scenario) -> str:
    """Return the text of ``dns.corefile``: a path from the scenario's directory, or the text itself."""
    stated = scenario.dns.corefile
    if not stated:
        return ""
    if "\n" in stated or "{" in stated:
        return stated
    try:
        return (scenario.directory / stated).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(
            "no such Corefile", place=Place(field="dns.corefile"), got=stated, allowed="a file, or a Corefile's text"
        ) from error


def plugin_of(scenario: Scenario) -> Plugin:
    """Return the scenario's plugin, shipped or from a file beside the scenario. Raises `InputError`."""
    with scenario.origin.placing():
        name = scenario.network.plugin
        beside = scenario.directory / name
        if name not in plugin_names() and beside.is_dir():
            name = str(beside)
        return load_plugin(_beside(scenario, name), node_mtu_bytes=scenario.cluster.machine.mtu)


def profile_of(scenario: Scenario) -> CostProfile:
    """Return the scenario's cost profile, shipped or from a file beside the scenario, with the prices it states.

    Raises `InputError`.
    """
    with scenario.origin.placing():
        return load_profile(_beside(scenario, scenario.network.costs)).stating(scenario.network.prices)


def _beside(scenario: Scenario, name: str) -> str:
    path = scenario.directory / name
    return str(path) if path.is_file() else name


def proxy_of(scenario: Scenario) -> ProxyMode:
    """Return the scenario's proxy mode: the one asked for, the input's own, or the plugin's usual one."""
    return scenario.network.proxy or proxy_without(cluster_of(scenario), plugin_of(scenario))


def impossible(scenario: Scenario, facts: ClusterFacts | None = None) -> tuple[Reason, ...]:
    """Return why the scenario's combination or size cannot exist; empty when it can.

    The pair of plugin and proxy is judged before the cluster is built, so that a pair that never fits costs nothing.
    ``facts`` are the cluster's, where they are known.
    """
    plugin = plugin_of(scenario)
    mismatch = combination(plugin, scenario.network.proxy or plugin.usual_proxy)
    if mismatch is not None:
        return (Reason(mismatch),)
    with scenario.origin.placing():
        proxy = proxy_of(scenario)
        return cannot_exist(plugin_facts(plugin, proxy), proxy, facts or cluster_of(scenario))


def datapath_of(scenario: Scenario) -> Datapath:
    """Return the datapath of a scenario that can exist. Raises `InputError`."""
    with scenario.origin.placing():
        return Datapath(
            cluster_of(scenario), plugin_of(scenario), scenario.network.proxy, profile_of(scenario).prices(),
            mtu=scenario.network.mtu,
        )  # fmt: skip

"""Where a node's CNI configuration is found: a file, the runtime's directory, or the ConfigMap an installer reads.

A directory is looked at as the container runtimes do; flannel's own files (``net-conf.json``, ``subnet.env``) may lie
beside. In a manifest or dump the networks keep their configuration in a ConfigMap that an init container copies to
every node: flannel's ``cni-conf.json`` with ``net-conf.json``, Calico's ``cni_network_config`` with ``veth_mtu``,
``*.conflist`` keys of kube-router and Antrea.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from netsim.cluster.cni.conflist import (
    Conflist,
    load_conflist,
    parse_conflist,
    parse_flannel_backend,
    parse_subnet_env,
    read_text,
)
from netsim.cluster.cni.kubenet import bridge_mtu, kubenet_conflist, kubenet_network
from netsim.cluster.cni.network import NodeFacts, NodeNetwork
from netsim.cluster.reading.documents import read_objects
from netsim.errors import InputError, Place

KUBENET = "kubenet"
"""The word for the network the kubelet made without a configuration file."""
MANIFESTS = (".yaml", ".yml")
CONFIGURATIONS = (".conf", ".conflist", ".json")
_BACKEND, _ENVIRONMENT = "net-conf.json", "subnet.env"
_MTU_PLACEHOLDER, _MTU_KEY = "__CNI_MTU__", "veth_mtu"
"""Calico's installer puts the ConfigMap's ``veth_mtu`` there; 0 lets it choose by encapsulation."""


@dataclass(frozen=True, slots=True)
class NodeConfiguration:
    """A configuration, and the network it yields on its node."""

    conflist: Conflist
    network: NodeNetwork

    @classmethod
    def on(cls, conflist: Conflist, facts: NodeFacts) -> NodeConfiguration:
        """Return what the configuration yields on a node with these facts."""
        return cls(conflist, conflist.describe(facts))


def read_configuration(path: str | Path, facts: NodeFacts | None = None) -> NodeConfiguration:
    """Read the configuration that a node with these facts would run.

    Parameters
    ----------
    path: a ``.conf``, ``.conflist`` or ``.json`` file, a directory, a manifest with a network's ConfigMap, or the word
        ``kubenet``.
    facts: of the node.

    Raises
    ------
    InputError: no configuration, or one that libcni or a plugin refuses, with their message.
    """
    where, known = Path(path), facts or NodeFacts()
    if str(path) == KUBENET and not where.exists():
        cidrs, mtu = known.pod_cidrs, bridge_mtu([known.mtu_bytes])
        return NodeConfiguration(kubenet_conflist(cidrs, mtu_bytes=mtu), kubenet_network(cidrs, mtu_bytes=mtu))
    if where.is_dir():
        return NodeConfiguration.on(load_conflist(where), _with_files(where, known))
    if where.suffix in MANIFESTS:
        return _of_manifest(where, known)
    return NodeConfiguration.on(load_conflist(where), known)


def _with_files(folder: Path, facts: NodeFacts) -> NodeFacts:
    """Add flannel's own files, where they lie in the directory."""
    backend, environment = folder / _BACKEND, folder / _ENVIRONMENT
    if backend.is_file():
        facts = replace(facts, flannel=parse_flannel_backend(read_text(backend), str(backend)))
    if environment.is_file():
        facts = replace(facts, subnet_env=parse_subnet_env(read_text(environment), str(environment)))
    return facts


def _of_manifest(path: Path, facts: NodeFacts) -> NodeConfiguration:
    for name, data in _config_maps(path):
        for key, text in data.items():
            if '"cniVersion"' not in text:
                continue
            filled = text.replace(_MTU_PLACEHOLDER, data.get(_MTU_KEY) or "0")
            if _BACKEND in data:
                backend = parse_flannel_backend(data[_BACKEND], f"{path} ({name}, {_BACKEND})")
                facts = replace(facts, flannel=backend)
            return NodeConfiguration.on(parse_conflist(filled, f"{path} ({name}, {key})"), facts)
    raise InputError(
        "no CNI configuration in this file", place=Place(str(path)),
        allowed="a ConfigMap that holds one, as flannel's cni-conf.json or Calico's cni_network_config",
    )  # fmt: skip


def _config_maps(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    for raw in read_objects(path):
        value = raw.value
        if not (isinstance(value, Mapping) and value.get("kind") == "ConfigMap"):
            continue
        data, metadata = value.get("data"), value.get("metadata")
        if isinstance(data, Mapping) and isinstance(metadata, Mapping):
            texts = {str(key): text for key, text in data.items() if isinstance(text, str)}
            yield f"{metadata.get('namespace', 'default')}/{metadata.get('name', '')}", texts

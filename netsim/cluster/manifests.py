"""Clusters from Kubernetes manifests and `kubectl get` dumps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from netsim.cluster.cluster import Cluster
from netsim.cluster.defaults import Defaults, with_defaults
from netsim.cluster.objects import Note
from netsim.cluster.provision import provision
from netsim.cluster.reading.assembly import assemble
from netsim.cluster.reading.documents import input_files, placed, read_objects
from netsim.cluster.reading.inventory import Inventory
from netsim.cluster.reading.yaml_source import RawObject
from netsim.errors import InputError, Place


def load_cluster(*paths: str | Path, defaults: Defaults | None = None, complete: bool = True) -> Cluster:
    """Read a cluster from files and directories of manifests and dumps (YAML or JSON).

    Parameters
    ----------
    paths: files, or directories that are searched for ``.yaml``, ``.yml`` and ``.json`` files.
    defaults: what to assume where the input is silent.
    complete: add nodes and a cluster DNS where the input has none (`with_defaults`). Without, the cluster holds the
        objects given and the pods of its workloads, no more.

    Returns
    -------
    Cluster
        Every pod placed and addressed; its notes say what was assumed and what was ignored.

    Raises
    ------
    InputError
        A file is missing, broken, a template or empty; an object is invalid; pods do not fit.
    """
    defaults = defaults or Defaults()
    inventory = Inventory(defaults.machine, defaults.max_pods, defaults.provider)
    directories = any(Path(path).is_dir() for path in paths)
    skipped = []
    for path in input_files(*paths):
        before = inventory.count
        for raw in read_objects(path):
            if directories and _foreign(raw):
                skipped.append(str(path))
                continue
            try:
                inventory.add(raw)
            except InputError as error:
                raise placed(error, raw) from None
        if inventory.count == before and not directories:
            raise InputError("no Kubernetes object in this file", place=Place(str(path)), allowed="manifests or a dump")
    if not inventory.count:
        raise InputError("no Kubernetes object", place=Place(", ".join(map(str, paths))), allowed="manifests or a dump")
    notes = [Note("file-ignored", f"{file} holds no Kubernetes object", "ignored") for file in dict.fromkeys(skipped)]
    return _finished(inventory, defaults, complete).noted(notes)


def cluster_from_objects(
    objects: Iterable[Mapping[str, object]], *, defaults: Defaults | None = None, complete: bool = False
) -> Cluster:
    """Return the cluster that API objects in memory add up to; otherwise as `load_cluster`."""
    defaults = defaults or Defaults()
    inventory = Inventory(defaults.machine, defaults.max_pods, defaults.provider)
    for obj in objects:
        inventory.add(RawObject(obj, "", None))
    return _finished(inventory, defaults, complete)


def _foreign(raw: RawObject) -> bool:
    """Files beside manifests (values, indices) have neither kind nor apiVersion."""
    return raw.item is None and not (isinstance(raw.value, Mapping) and {"kind", "apiVersion"} & raw.value.keys())


def _finished(inventory: Inventory, defaults: Defaults, complete: bool) -> Cluster:
    cluster = assemble(inventory, defaults)
    return with_defaults(cluster, defaults) if complete else provision(cluster, defaults.node_masks)

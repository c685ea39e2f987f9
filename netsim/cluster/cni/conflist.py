"""CNI configuration files: what libcni accepts, which file of a directory wins, and the chain it describes.

Follows containernetworking/cni ``libcni/conf.go`` (NetworkConfFromBytes, NetworkPluginConfFromBytes) and
``pkg/skel`` for the checks before a plugin runs; error messages are theirs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netsim.cluster.cni import gojson
from netsim.cluster.cni.gojson import Members
from netsim.cluster.cni.hostlocal import parse_cidr
from netsim.cluster.cni.ipam import PLACEHOLDER, VERSIONS, version_tuple
from netsim.cluster.cni.network import FlannelBackend, NodeFacts, NodeNetwork, SubnetEnv
from netsim.cluster.cni.plugins import Multus, Plugin, read_plugin
from netsim.errors import InputError, Place

EXTENSIONS = (".conf", ".conflist", ".json")
"""Files a container runtime looks at in its configuration directory."""
LIST, SINGLE = "error parsing configuration list", "error parsing configuration"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")


@dataclass(frozen=True, slots=True)
class Conflist:
    """A network as a node's runtime loads it: a name, a version and the chain of plugins, run in order."""

    name: str
    version: str
    plugins: tuple[Plugin, ...]
    disable_check: bool = False
    file: str = ""

    @property
    def chain(self) -> tuple[str, ...]:
        """Types of the plugins in order."""
        return tuple(plugin.type for plugin in self.plugins)

    def describe(self, node: NodeFacts | None = None) -> NodeNetwork:
        """Return the network this configuration yields on a node.

        Parameters
        ----------
        node: what the file leaves to its node: MTU, pod CIDRs, flannel's files.
        """
        network, facts = NodeNetwork(), node or NodeFacts()
        for plugin in self.plugins:
            network = plugin.join(network, facts)
        return network


def parse_conflist(text: str, file: str = "") -> Conflist:
    """Read one configuration file's text.

    The name's ending decides as in the runtimes: ``.conflist`` is a list, ``.conf`` and ``.json`` one plugin; without
    a known ending the presence of ``plugins`` does.

    Parameters
    ----------
    text: the document.
    file: its name, for the kind and for messages.

    Raises
    ------
    InputError: with libcni's or the plugin's message, the place, and for templates and flannel's own file what it is.
    """
    ending = Path(file).suffix
    is_list = ending == ".conflist" or (ending not in EXTENSIONS and '"plugins"' in text)
    try:
        if is_list:
            return replace(_read_list(gojson.parse(text, LIST, file)), file=file)
        return replace(_read_single(gojson.parse(text, SINGLE, file)), file=file)
    except InputError as error:
        raise _explained(error, text).at(Place(file)) from None


def _explained(error: InputError, text: str) -> InputError:
    """Add what the file is, where that explains the error better than libcni's sentence."""
    if error.allowed:
        return error
    template = PLACEHOLDER.search(text)
    if template is not None:
        allowed = "a filled-in file; this is a template whose placeholders the network's installer replaces"
        return InputError(error.message, place=error.place, got=template.group(), allowed=allowed)
    return error


def _read_list(document: Any) -> Conflist:
    raw = _mapping(document, LIST)
    name = raw.get("name")
    if "name" not in raw:
        raise InputError(f"{LIST}: no name", place=Place(field="name"))
    if not isinstance(name, str):
        raise InputError(f"{LIST}: invalid name type {gojson.go_type(name)}", place=Place(field="name"))
    version = _version(raw)
    flags = {key: _flag(raw, key) for key in ("disableCheck", "disableGC", "loadOnlyInlinedPlugins")}
    listed = raw.get("plugins")
    if "plugins" not in raw:
        if flags["loadOnlyInlinedPlugins"]:
            raise InputError(f"{LIST}: `loadOnlyInlinedPlugins` is true, and no 'plugins' key")
        raise InputError("no plugin configs found", place=Place(field="plugins"), allowed="a list of plugins")
    if not isinstance(listed, list):
        raise InputError(f"{LIST}: invalid 'plugins' type {gojson.go_type(listed)}", place=Place(field="plugins"))
    if not listed:
        raise InputError(f"{LIST}: no plugins in list", place=Place(field="plugins"))
    members = [_member(index, item) for index, item in enumerate(listed)]
    _check_name(name)
    return Conflist(name, version, tuple(read_plugin(each, version) for each in members), flags["disableCheck"])


def _read_single(document: Any) -> Conflist:
    raw = _mapping(document, SINGLE)
    members = _plugin_conf(raw, "")
    _check_name(members.string("name"))
    version = members.string("cniVersion")
    return Conflist(members.string("name"), version, (read_plugin(members, version),))


def _mapping(document: Any, prefix: str) -> dict[str, Any]:
    if document is None:
        return {}
    if not isinstance(document, dict):
        target = "map[string]interface {}" if prefix == LIST else "types.PluginConf"
        raise InputError(
            f"{prefix}: json: cannot unmarshal {gojson.kind(document)} into Go value of type {target}",
            allowed="a JSON object",
        )
    return document


def _member(index: int, item: object) -> Members:
    try:
        return _plugin_conf(_mapping(item, SINGLE), f"plugins[{index}]")
    except InputError as error:
        message = f"failed to parse plugin config {index}: {error.message}"
        raise InputError(message, place=error.place).at(Place(field=f"plugins[{index}]")) from None


def _plugin_conf(raw: dict[str, Any], where: str) -> Members:
    """Check what libcni decodes of every plugin (``types.PluginConf``)."""
    members = Members(raw, "PluginConf", where)
    try:
        for name in ("cniVersion", "name"):
            members.string(name)
        kind = members.string("type")
        members.flags("capabilities")
        for name, struct in (("ipam", "types.IPAM"), ("dns", "types.DNS"), ("prevResult", "map[string]interface {}")):
            child = members.child(name, struct)
            if name == "ipam" and child is not None:
                child.string("type")
    except InputError as error:
        raise InputError(f"{SINGLE}: {error.message}", place=error.place) from None
    if not kind:
        raise InputError(f"{SINGLE}: missing 'type'", place=members.place("type"), allowed=_what_it_is(raw))
    if "/" in kind:
        raise InputError(f"invalid plugin name: {kind}", place=members.place("type"))
    return members


def _what_it_is(raw: dict[str, Any]) -> str | None:
    """Name a well-known document that is not a CNI configuration, as the hint of the error."""
    if isinstance(raw.get("Backend"), dict) or "Network" in raw:
        return "a CNI configuration; this is flannel's backend configuration (net-conf.json), not a CNI one"
    if "plugins" in raw:
        return "one plugin in a .conf or .json file; a list of plugins belongs in a .conflist file"
    return None


def _check_name(name: str) -> None:
    if not name:
        raise InputError("missing network name", place=Place(field="name"))
    if not _NAME.fullmatch(name):
        raise InputError(f"invalid characters found in network name; {name}", place=Place(field="name"))


def _flag(raw: dict[str, Any], key: str) -> bool:
    value = raw.get(key, False)
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise InputError(f"{LIST}: invalid type {gojson.go_type(value)} for {key}", place=Place(field=key))
    words = {"true": True, "false": False}
    if value.lower() not in words:
        raise InputError(f'{LIST}: invalid value "{value.lower()}" for {key}', place=Place(field=key))
    return words[value.lower()]


def _version(raw: dict[str, Any]) -> str:
    """Return the version in force: the highest of ``cniVersions`` and ``cniVersion`` that this libcni knows."""
    version = raw.get("cniVersion", "")
    place = Place(field="cniVersion")
    if not isinstance(version, str):
        raise InputError(f"{LIST}: invalid cniVersion type {gojson.go_type(version)}", place=place)
    if "cniVersions" not in raw:
        return version
    listed, place = raw["cniVersions"], Place(field="cniVersions")
    if not isinstance(listed, list):
        raise InputError(f"{LIST}: invalid type for cniVersions: {gojson.go_type(listed)}", place=place)
    known = []
    for index, each in enumerate([*listed, *([version] if version else [])]):
        if not isinstance(each, str):
            raise InputError(
                f"{LIST}: invalid type for cniVersions index {index}: {gojson.go_type(each)}", place=place
            )
        try:
            if version_tuple(each) <= version_tuple(VERSIONS[-1]):
                known.append(each)
        except InputError as error:
            message = f"{LIST}: invalid cniVersions entry {each} at index {index}: {error.message}"
            raise InputError(message, place=place) from None
    return max(known, key=version_tuple, default=version)


# ------------------------------------------------------------------------------------------------ files


def read_text(path: Path) -> str:
    """Return a file's text, undecodable bytes replaced as Go does. Raises `InputError` when it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"error reading {path}: {error.strerror}", place=Place(str(path))) from None


def load_conflist(path: str | Path) -> Conflist:
    """Read a configuration file, or the configuration that wins in a directory.

    In a directory the first file by name with one of `EXTENSIONS` wins, whatever it holds; a Multus configuration
    takes its ``clusterNetwork`` (or the next valid file) from the same directory.

    Raises
    ------
    InputError: no file, an unreadable one, or one the components refuse.
    """
    where = Path(path)
    if not where.is_dir():
        return parse_conflist(read_text(where), str(where))
    files = sorted(each for each in where.iterdir() if each.suffix in EXTENSIONS and each.is_file())
    if not files:
        raise InputError(f"no net configurations found in {where}", place=Place(str(where)))
    winner = parse_conflist(read_text(files[0]), str(files[0]))
    plugins = tuple(
        replace(each, delegates=_delegates(each, files[1:])) if isinstance(each, Multus) else each
        for each in winner.plugins
    )
    return replace(winner, plugins=plugins)


def _delegates(multus: Multus, files: list[Path]) -> tuple[Plugin, ...]:
    if multus.delegates:
        return multus.delegates
    for each in files:
        try:
            found = parse_conflist(read_text(each), str(each))
        except InputError:
            continue  # multus looks for a network, not for faults in files it does not use
        if not multus.cluster_network or multus.cluster_network in (found.name, str(each)):
            return found.plugins
    return ()


# ------------------------------------------------------------------------------------------------ flannel's own files


def parse_flannel_backend(text: str, file: str = "") -> FlannelBackend:
    """Read flannel's ``net-conf.json``. Raises `InputError` when it is not one."""
    document = gojson.parse(text, "error decoding subnet config", file)
    members = Members(_mapping(document, SINGLE), "Config")
    if not (members.has("Network") or members.has("IPv6Network")):
        raise InputError("please define a correct Network parameter in the flannel config", place=Place(file))
    for name in ("Network", "IPv6Network"):
        if members.string(name):
            parse_cidr(members.string(name))
    backend = members.child("Backend", "Backend") or Members({}, "Backend")
    port = backend.integer("Port") if backend.has("Port") else None
    return FlannelBackend(
        backend.string("Type", "udp"), members.string("Network"), members.string("IPv6Network"), port,
        backend.boolean("DirectRouting"),
    )  # fmt: skip


def parse_subnet_env(text: str, file: str = "/run/flannel/subnet.env") -> SubnetEnv:
    """Read flannel's ``subnet.env``. Raises `InputError` for missing or bad variables, as the flannel plugin does."""
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    wanted = ("FLANNEL_NETWORK", "FLANNEL_SUBNET", "FLANNEL_MTU", "FLANNEL_IPMASQ")
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(f"{file} is missing {', '.join(missing)}", place=Place(file))
    for name in wanted[:2]:
        parse_cidr(found[name])
    mtu = found["FLANNEL_MTU"]
    if not (mtu.isascii() and mtu.isdigit() and len(mtu) < 7):
        raise InputError(f'strconv.ParseUint: parsing "{mtu}": invalid syntax', place=Place(file, field="FLANNEL_MTU"))
    return SubnetEnv(found[wanted[0]], found[wanted[1]], int(mtu), found[wanted[3]] == "true")

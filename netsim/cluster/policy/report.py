"""Who may reach whom: the table that ``netsim inspect policy`` prints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Pod, Protocol
from netsim.cluster.policy.cidr import parse_address
from netsim.cluster.policy.identifiers import PORT_RULE, is_port_name
from netsim.cluster.policy.verdicts import End, Identity, Outside, Party, Verdicts
from netsim.errors import InputError, Place

MAX_CELLS = 4_000_000
_PROTOCOLS: Mapping[str, Protocol] = {"TCP": "TCP", "UDP": "UDP", "SCTP": "SCTP"}
_PORT_FORMS = "PORT/PROTOCOL such as 80/TCP or serve-80/UDP; PROTOCOL is TCP, UDP or SCTP"
_SELECTION_FORMS = (
    "namespace/pod, namespace/*, a label selector such as app=web or namespace/app=web,tier!=db, "
    "node/NAME, external:ADDRESS"
)


@dataclass(frozen=True, slots=True)
class ProbedPort:
    """A port to ask about: a number, or a name that each destination pod resolves for itself."""

    port: int | str
    protocol: Protocol = "TCP"

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol}"

    def number_on(self, destination: Identity | None) -> int | None:
        """Return the number on a destination; ``None`` where it has no port of that name."""
        if isinstance(self.port, int):
            return self.port
        numbers = () if destination is None else destination.number_of(self.port, self.protocol)
        return numbers[0] if numbers else None


def parse_port(text: str) -> ProbedPort:
    """Read ``80/TCP``, ``TCP/80``, ``80`` (TCP) or ``name/UDP``. Raises `InputError`."""
    parts = [part.strip() for part in str(text).split("/")]
    protocols = [_PROTOCOLS[part.upper()] for part in parts if part.upper() in _PROTOCOLS]
    names = [part for part in parts if part.upper() not in _PROTOCOLS]
    if len(parts) > 2 or len(names) != 1 or len(protocols) != len(parts) - 1:
        raise InputError("not a port", place=Place(field="port"), got=text, allowed=_PORT_FORMS)
    protocol = protocols[0] if protocols else "TCP"
    if re.fullmatch(r"[0-9]+", names[0]):
        if not 1 <= int(names[0]) <= 65535:
            raise InputError("not a port number", place=Place(field="port"), got=text, allowed=PORT_RULE)
        return ProbedPort(int(names[0]), protocol)
    if not is_port_name(names[0]):
        raise InputError("not a port", place=Place(field="port"), got=text, allowed=_PORT_FORMS)
    return ProbedPort(names[0], protocol)


Cells = Mapping[str, Mapping[str, bool]]


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """Verdicts for new connections on one port, from every row to every column.

    ``egress`` is what the sender's policies say, ``ingress`` what the receiver's say, ``allowed`` both together.
    A pod that lacks a port asked for by name cannot be reached there: false in all three.
    """

    port: str
    pods: tuple[str, ...]
    allowed: Cells
    egress: Cells
    ingress: Cells

    def to_dict(self) -> dict[str, object]:
        """Return the JSON document of ``netsim inspect policy``."""
        cells = {"allowed": self.allowed, "egress": self.egress, "ingress": self.ingress}
        plain = {name: {source: dict(row) for source, row in table.items()} for name, table in cells.items()}
        return {"port": self.port, "pods": list(self.pods), **plain}


def policy_table(
    cluster: Cluster,
    port: str = "80/TCP",
    from_: str | None = None,
    to: str | None = None,
    verdicts: Verdicts | None = None,
) -> PolicyTable:
    """Return who may open a connection to whom.

    Parameters
    ----------
    cluster: the cluster with its policies.
    port: pod port, ``80/TCP`` or a container port's name, ``http/TCP``.
    from_, to: restrict the rows and columns: ``namespace/pod``, ``namespace/*``, a label selector (``key=value``,
        ``key!=value``, ``key``, ``!key`` joined by commas; ``namespace/`` may stand in front), ``node/NAME`` or
        ``external:ADDRESS``. By default every pod.
    verdicts: verdicts of the same cluster to reuse.

    Raises
    ------
    InputError: an unknown form, a selection that matches nothing, or a table of more than 4 million cells.
    """
    judge = verdicts or Verdicts(cluster)
    probe = parse_port(port)
    sources = _ends(judge, _select(cluster, from_, "from"))
    destinations = _ends(judge, _select(cluster, to, "to"))
    if len(sources) * len(destinations) > MAX_CELLS:
        raise InputError(
            "the table would be too large", place=Place(field="from, to"),
            got=f"{len(sources)} x {len(destinations)} cells", allowed=f"at most {MAX_CELLS}; select with from and to",
        )  # fmt: skip
    numbers = {name: probe.number_on(end.identity) for name, end in destinations.items()}
    allowed: dict[str, dict[str, bool]] = {}
    egress: dict[str, dict[str, bool]] = {}
    ingress: dict[str, dict[str, bool]] = {}
    for source, sender in sources.items():
        out, into = egress.setdefault(source, {}), ingress.setdefault(source, {})
        for destination, receiver in destinations.items():
            number = numbers[destination]
            out[destination] = number is not None and judge.lets_out(sender, receiver, number, probe.protocol)
            into[destination] = number is not None and judge.lets_in(sender, receiver, number, probe.protocol)
        allowed[source] = {destination: out[destination] and into[destination] for destination in out}
    return PolicyTable(str(probe), tuple(dict.fromkeys([*sources, *destinations])), allowed, egress, ingress)


def _ends(verdicts: Verdicts, parties: Mapping[str, Party]) -> dict[str, End]:
    return {name: verdicts.end(party) for name, party in parties.items()}


# ------------------------------------------------------------------------------------------------ selection


def _select(cluster: Cluster, text: str | None, field: str) -> Mapping[str, Party]:
    if text is None:
        return {pod.key: pod for pod in cluster.pods}
    place = Place(field=field)
    if text.startswith("external:"):
        return _outside(text, place)
    namespace, slash, rest = text.partition("/")
    if slash and namespace == "node":
        index = cluster.node_index.get(rest)
        if index is None:
            raise InputError("no such node", place=place, got=text, allowed=_some(cluster.node_index))
        return {text: cluster.nodes[index]}
    if slash and text in cluster.pods_by_key:
        return {text: cluster.pods_by_key[text]}
    found = {pod.key: pod for pod in _matching(cluster, text, place)}
    if not found:
        raise InputError("selects no pod", place=place, got=text, allowed=_SELECTION_FORMS)
    return found


def _outside(text: str, place: Place) -> Mapping[str, Party]:
    address = text.removeprefix("external:")
    try:
        parse_address(address)
    except ValueError:
        raise InputError("not an address", place=place, got=text, allowed="external:ADDRESS") from None
    return {text: Outside(address)}


def _some(names: Mapping[str, object]) -> str:
    shown = list(names)[:8]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")


_TERM = re.compile(
    r"(?P<negated>!)?(?P<key>(?:[A-Za-z0-9][-A-Za-z0-9.]*/)?[A-Za-z0-9][-A-Za-z0-9_.]*)"
    r"(?:(?P<operator>==?|!=)(?P<value>[-A-Za-z0-9_.]*))?"
)


def _matching(cluster: Cluster, text: str, place: Place) -> Iterator[Pod]:
    """Yield the pods of ``namespace/*`` or of a label selector, which may have a namespace and a slash in front."""
    namespace, slash, rest = text.partition("/")
    scoped = bool(slash) and namespace in cluster.namespaces_by_name
    selector = rest if scoped else text
    terms = [] if scoped and selector in ("", "*") else [_term(term, text, place) for term in selector.split(",")]
    for pod in cluster.pods:
        if scoped and pod.namespace != namespace:
            continue
        if all(_holds(term, pod.labels) for term in terms):
            yield pod


def _term(term: str, text: str, place: Place) -> re.Match[str]:
    match = _TERM.fullmatch(term.strip())
    if match is None or (match["negated"] and match["operator"]):
        raise InputError("not a selection", place=place, got=text, allowed=_SELECTION_FORMS)
    return match


def _holds(term: re.Match[str], labels: Mapping[str, str]) -> bool:
    value = labels.get(term["key"])
    if term["negated"]:
        return value is None
    if term["operator"] is None:
        return value is not None
    return (value == term["value"]) != (term["operator"] == "!=")

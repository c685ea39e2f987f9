"""NetworkPolicy objects from their API form, refused where the API server refuses them.

The rules are those of ``ValidateNetworkPolicy`` (kubernetes ``pkg/apis/networking/validation``) and of the label
selector validation (``apimachinery/pkg/apis/meta/v1/validation``) at creation, after the defaulting of
``pkg/apis/networking/v1/defaults.go``. ``null`` is the same as absent; unknown fields are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping

from netsim.cluster.objects import (
    IpBlock,
    Labels,
    NetworkPolicy,
    Peer,
    PolicyPort,
    PolicyRule,
    Requirement,
    Selector,
)
from netsim.cluster.policy.cidr import Range, parse_range
from netsim.cluster.policy.identifiers import (
    LABEL_KEY_RULE,
    LABEL_VALUE_RULE,
    PORT_NAME_RULE,
    is_dns_label,
    is_dns_subdomain,
    is_label_value,
    is_port_name,
    is_qualified_name,
)
from netsim.cluster.reading.fields import Fields
from netsim.errors import InputError, Place

_TYPES = ("Ingress", "Egress")
_INT32 = 2**31


def read_policy(obj: Mapping[str, object], place: Place | None = None) -> NetworkPolicy:
    """Return the policy that an API object states.

    Parameters
    ----------
    obj: the object as ``kubectl get -o json`` or a manifest has it.
    place: where it was found; errors name the field below it.

    Raises
    ------
    InputError: the API server would refuse the object; the first reason is given.
    """
    place = place or Place()
    try:
        return _read(Fields(obj, place.field))
    except InputError as error:
        raise error.at(place) from None


def _read(root: Fields) -> NetworkPolicy:
    if root.text("kind", "NetworkPolicy") != "NetworkPolicy":
        raise root.wrong("kind", "not a NetworkPolicy", "NetworkPolicy")
    namespace, name = _read_metadata(root.child("metadata"))
    spec = root.child("spec")
    egress = tuple(_read_rule(rule, "to") for rule in spec.children("egress"))
    types = _read_types(spec) or (_TYPES if egress else ("Ingress",))
    return NetworkPolicy(
        namespace,
        name,
        pod_selector=read_selector(spec.child("podSelector")),
        ingress=tuple(_read_rule(rule, "from") for rule in spec.children("ingress")),
        egress=egress,
        isolates_ingress="Ingress" in types,
        isolates_egress="Egress" in types,
    )


def _read_metadata(metadata: Fields) -> tuple[str, str]:
    field = "name" if metadata.text("name") else "generateName"
    name, namespace = metadata.text(field), metadata.text("namespace", "default") or "default"
    if not name:
        raise metadata.wrong("name", "a NetworkPolicy needs a name", got="")
    # A generated name may end in '-', for the server appends to it.
    if not is_dns_subdomain(name.rstrip("-") if field == "generateName" else name):
        raise metadata.wrong(field, "not an object name", "a DNS subdomain: lower case letters, digits, '-' and '.'")
    if not is_dns_label(namespace):
        raise metadata.wrong("namespace", "not a namespace name", "a DNS label: lower case letters, digits and '-'")
    _read_labels(metadata, "labels")
    return namespace, name


def _read_types(spec: Fields) -> tuple[str, ...]:
    types = spec.texts("policyTypes")
    if len(types) > len(_TYPES):
        raise spec.wrong("policyTypes", "more than two policyTypes", ", ".join(_TYPES))
    for index, item in enumerate(types):
        if item not in _TYPES:
            raise spec.wrong(f"policyTypes[{index}]", "unknown policy type", ", ".join(_TYPES), got=item)
    return types


# ------------------------------------------------------------------------------------------------ selectors


def _read_labels(owner: Fields, name: str) -> Labels:
    labels = owner.child(name)
    for key in labels.value:
        # YAML's numbers and booleans as keys are no text; kubectl would have made text of them.
        if not isinstance(key, str) or not is_qualified_name(key):
            raise owner.wrong(name, f"{key!r} is not a label key", LABEL_KEY_RULE, got=key)
        if not is_label_value(labels.text(key)):
            raise labels.wrong(key, "not a label value", LABEL_VALUE_RULE)
    return {key: labels.text(key) for key in labels.value}


def _read_requirement(entry: Fields) -> Requirement:
    key, values = entry.text("key"), entry.texts("values")
    if not is_qualified_name(key):
        raise entry.wrong("key", "not a label key", LABEL_KEY_RULE)
    for index, value in enumerate(values):
        if not is_label_value(value):
            raise entry.wrong(f"values[{index}]", "not a label value", LABEL_VALUE_RULE, got=value)
    match entry.text("operator"):
        case ("In" | "NotIn") as operator:
            if not values:
                raise entry.wrong("values", f"operator {operator} needs values", "at least one value")
        case ("Exists" | "DoesNotExist") as operator:
            if values:
                raise entry.wrong("values", f"operator {operator} takes no values")
        case _:
            raise entry.wrong("operator", "unknown selector operator", "In, NotIn, Exists, DoesNotExist")
    return Requirement(key, operator, values)


def read_selector(selector: Fields) -> Selector:
    """Return a label selector; an absent one is the empty one, which selects everything. Raises `InputError`."""
    return Selector(
        _read_labels(selector, "matchLabels"),
        tuple(_read_requirement(entry) for entry in selector.children("matchExpressions")),
    )


# ------------------------------------------------------------------------------------------------ rules


def _read_rule(rule: Fields, peers: str) -> PolicyRule:
    return PolicyRule(
        peers=tuple(_read_peer(peer) for peer in rule.children(peers)),
        ports=tuple(_read_port(port) for port in rule.children("ports")),
    )


def _read_peer(peer: Fields) -> Peer:
    pods, namespaces, block = (peer.has(name) for name in ("podSelector", "namespaceSelector", "ipBlock"))
    if not (pods or namespaces or block):
        allowed = "podSelector, namespaceSelector (or both), or ipBlock"
        raise InputError(
            "a peer that names nobody", place=Place(field=peer.path), got=dict(peer.value), allowed=allowed
        )
    if block and (pods or namespaces):
        raise peer.wrong("ipBlock", "ipBlock beside a selector in one peer", "either ipBlock or selectors")
    return Peer(
        pod_selector=read_selector(peer.child("podSelector")) if pods else None,
        namespace_selector=read_selector(peer.child("namespaceSelector")) if namespaces else None,
        ip_block=_read_block(peer.child("ipBlock")) if block else None,
    )


def _read_range(block: Fields, name: str, text: str) -> Range:
    try:
        return parse_range(text)
    except ValueError:
        allowed = "an address and a prefix length, such as 10.9.8.0/24 or 2001:db8::/64"
        raise block.wrong(name, "not a CIDR", allowed, got=text) from None


def _read_block(block: Fields) -> IpBlock:
    cidr = block.text("cidr")
    whole = _read_range(block, "cidr", cidr)
    holes = block.texts("except")
    for index, hole in enumerate(holes):
        name = f"except[{index}]"
        if not whole.strictly_holds(_read_range(block, name, hole)):
            raise block.wrong(
                name, "an exception must be a strict subset of cidr", f"a smaller range inside {cidr}", got=hole
            )
    return IpBlock(cidr, holes)


def _read_port(entry: Fields) -> PolicyPort:
    match entry.text("protocol", "TCP"):
        case ("TCP" | "UDP" | "SCTP") as protocol:
            pass
        case _:
            raise entry.wrong("protocol", "unknown protocol", "TCP, UDP, SCTP")
    port = entry.value.get("port")
    last = entry.integer("endPort", -_INT32, _INT32)
    if last is not None and not isinstance(port, int):
        raise entry.wrong("endPort", "endPort without a number as port", "endPort only where port is a number")
    if port is None:
        return PolicyPort(protocol)
    if isinstance(port, str):
        if not is_port_name(port):
            raise entry.wrong("port", "not a port name", PORT_NAME_RULE)
        return PolicyPort(protocol, port)
    first = entry.integer("port", 1, 65535)
    if last is not None and first is not None and not first <= last <= 65535:
        raise entry.wrong("endPort", "endPort below port or above 65535", f"{first} to 65535")
    return PolicyPort(protocol, first, last)

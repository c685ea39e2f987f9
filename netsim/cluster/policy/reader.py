"""NetworkPolicy objects from their API form, refused where the API server refuses them.

The rules are those of ``ValidateNetworkPolicy`` (kubernetes ``pkg/apis/networking/validation``) and of the label
selector validation (``apimachinery/pkg/apis/meta/v1/validation``) at creation, after the defaulting of
``pkg/apis/networking/v1/defaults.go``.
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
from netsim.cluster.policy.fields import Field
from netsim.cluster.policy.names import (
    check_label_key,
    check_label_value,
    check_port_number,
    is_dns_label,
    is_dns_subdomain,
    is_port_name,
)
from netsim.errors import Place

_TYPES = ("Ingress", "Egress")


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
    root = Field(obj, place or Place())
    kind = root.child("kind")
    if kind.present and kind.text() != "NetworkPolicy":
        kind.fail("not a NetworkPolicy", "NetworkPolicy")
    namespace, name = _read_metadata(root.child("metadata"))
    spec = root.child("spec")
    selector = read_selector(spec.child("podSelector"))
    ingress = tuple(_read_rule(rule, "from") for rule in spec.child("ingress").items())
    egress = tuple(_read_rule(rule, "to") for rule in spec.child("egress").items())
    types = _read_types(spec.child("policyTypes")) or (("Ingress", "Egress") if egress else ("Ingress",))
    return NetworkPolicy(
        namespace,
        name,
        selector,
        ingress,
        egress,
        isolates_ingress="Ingress" in types,
        isolates_egress="Egress" in types,
    )


def _read_metadata(metadata: Field) -> tuple[str, str]:
    namespace, name = metadata.child("namespace"), metadata.child("name")
    if not name.text():
        name = metadata.child("generateName")
    if not name.text():
        metadata.child("name").fail("a NetworkPolicy needs a name")
    # A generated name may end in '-', for the server appends to it.
    if not is_dns_subdomain(name.text().rstrip("-")):
        name.fail("not an object name", "a DNS subdomain: lower case letters, digits, '-' and '.'")
    if namespace.text() and not is_dns_label(namespace.text()):
        namespace.fail("not a namespace name", "a DNS label: lower case letters, digits and '-'")
    _read_labels(metadata.child("labels"))
    return namespace.text() or "default", name.text()


def _read_types(types: Field) -> tuple[str, ...]:
    found = list(types.items())
    if len(found) > len(_TYPES):
        types.fail("more than two policyTypes", "Ingress, Egress")
    for item in found:
        if item.text() not in _TYPES:
            item.fail("unknown policy type", "Ingress, Egress")
    return tuple(item.text() for item in found)


# ------------------------------------------------------------------------------------------------ selectors


def _read_labels(labels: Field) -> Labels:
    return {check_label_key(value, key): check_label_value(value) for key, value in labels.entries()}


def _read_requirement(entry: Field) -> Requirement:
    key, operator, values = entry.child("key"), entry.child("operator"), entry.child("values")
    check_label_key(key, key.text())
    found = tuple(check_label_value(value) for value in values.items())
    match operator.text():
        case ("In" | "NotIn") as name:
            if not found:
                values.fail(f"operator {name} needs values", "at least one value")
        case ("Exists" | "DoesNotExist") as name:
            if found:
                values.fail(f"operator {name} takes no values")
        case _:
            operator.fail("unknown selector operator", "In, NotIn, Exists, DoesNotExist")
    return Requirement(key.text(), name, found)


def read_selector(selector: Field) -> Selector:
    """Return a label selector; an absent one is the empty one, which selects everything. Raises `InputError`."""
    return Selector(
        _read_labels(selector.child("matchLabels")),
        tuple(_read_requirement(entry) for entry in selector.child("matchExpressions").items()),
    )


# ------------------------------------------------------------------------------------------------ rules


def _read_rule(rule: Field, peers: str) -> PolicyRule:
    return PolicyRule(
        peers=tuple(_read_peer(peer) for peer in rule.child(peers).items()),
        ports=tuple(_read_port(port) for port in rule.child("ports").items()),
    )


def _read_peer(peer: Field) -> Peer:
    pods, namespaces, block = peer.child("podSelector"), peer.child("namespaceSelector"), peer.child("ipBlock")
    if not (pods.present or namespaces.present or block.present):
        peer.fail("a peer that names nobody", "podSelector, namespaceSelector (or both), or ipBlock")
    if block.present and (pods.present or namespaces.present):
        peer.fail("ipBlock beside a selector in one peer", "either ipBlock or selectors")
    return Peer(
        pod_selector=read_selector(pods) if pods.present else None,
        namespace_selector=read_selector(namespaces) if namespaces.present else None,
        ip_block=_read_block(block) if block.present else None,
    )


def _read_range(field: Field) -> Range:
    try:
        return parse_range(field.text())
    except ValueError:
        field.fail("not a CIDR", "an address and a prefix length, such as 10.9.8.0/24 or 2001:db8::/64")


def _read_block(block: Field) -> IpBlock:
    cidr = block.child("cidr")
    whole = _read_range(cidr)
    holes = []
    for hole in block.child("except").items():
        if not whole.strictly_holds(_read_range(hole)):
            hole.fail("an exception must be a strict subset of cidr", f"a smaller range inside {cidr.text()}")
        holes.append(hole.text())
    return IpBlock(cidr.text(), tuple(holes))


def _read_port(entry: Field) -> PolicyPort:
    protocol, port, end = entry.child("protocol"), entry.child("port"), entry.child("endPort")
    last = end.integer() if end.present else None
    match protocol.text() if protocol.present else "TCP":
        case ("TCP" | "UDP" | "SCTP") as name:
            pass
        case _:
            protocol.fail("unknown protocol", "TCP, UDP, SCTP")
    if isinstance(port.value, str):
        if last is not None:
            end.fail("endPort beside a named port", "endPort only where port is a number")
        if not is_port_name(port.value):
            port.fail("not a port name", "1 to 15 lower case letters, digits and inner single '-', a letter among them")
        return PolicyPort(name, port.value)
    if not port.present:
        if last is not None:
            end.fail("endPort without port", "endPort only where port is a number")
        return PolicyPort(name)
    first = check_port_number(port)
    if last is not None and not first <= check_port_number(end):
        end.fail("endPort below port", f"{first} to 65535")
    return PolicyPort(name, first, last)

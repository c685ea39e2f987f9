"""Answers of CoreDNS's plugins around the data: cache, autopath, hosts, template, dns64, whoami, forward."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv6Address, ip_address, ip_network

from netsim.cluster.corefile import Autopath, Cache, Dns64, Forward, Hosts, Templates
from netsim.cluster.corefile.gotemplate import TemplateError, Value
from netsim.cluster.corefile.specs import TemplateRule, falls_through
from netsim.cluster.dns.kubernetes import Proceed
from netsim.cluster.dns.records import Question, Record, Response, address_record
from netsim.cluster.names import absolute, address_of_reverse, is_subdomain, longest_zone


class CacheHandler:
    """The ``cache`` plugin with nothing in it yet: TTLs are clamped from the first answer on (cache.go)."""

    def __init__(self, spec: Cache) -> None:
        self.spec = spec

    def answer(self, question: Question, proceed: Proceed) -> Response:
        """Pass the question on and clamp the TTLs of what would be cached."""
        response = proceed(question)
        if not longest_zone(self.spec.zones, question.name):
            return response
        kept_s = int(response.cache_ttl(self.spec, question.name))
        return response.with_ttl(kept_s) if kept_s > 0 and response.rcode != "SERVFAIL" else response


class AutopathHandler:
    """The ``autopath`` plugin: the first name of a client's search list is tried with the whole list at once.

    ``search`` returns the client's search list for a question, ending in an empty string; nothing where it is unknown.
    """

    def __init__(self, spec: Autopath, search: Callable[[Question], tuple[str, ...]]) -> None:
        self.spec, self._search = spec, search

    def answer(self, question: Question, proceed: Proceed) -> Response:
        """Walk the search list until a name exists; the answer names it through a CNAME."""
        search = self._search(question) if longest_zone(self.spec.zones, question.name) else ()
        if not search or not is_subdomain(question.name, search[0]) or question.name.lower() == search[0].lower():
            return proceed(question)
        base = question.name[: len(question.name) - len(search[0])].removesuffix(".")
        first: Response | None = None
        forwarded = 0
        for domain in search:
            response = proceed(question.renamed(absolute(f"{base}.{domain}")))
            forwarded += response.forwarded
            first = first or response
            if response.rcode not in ("NXDOMAIN", "SERVFAIL", "REFUSED"):
                return replace(response, answers=_aliased(response.answers, question.name), forwarded=forwarded)
        assert first is not None
        return replace(first, forwarded=forwarded)


def _aliased(answers: tuple[Record, ...], name: str) -> tuple[Record, ...]:
    """Put a CNAME from the asked name to the found one in front (plugin/autopath/cname.go)."""
    for record in answers:
        if record.name.lower() != name.lower():
            return (Record(name, "CNAME", record.ttl, record.name), *answers)
    return answers


class HostsHandler:
    """The ``hosts`` plugin with its inline entries."""

    def __init__(self, spec: Hosts) -> None:
        self.spec = spec
        addresses: dict[str, list[str]] = defaultdict(list)
        names: dict[str, list[str]] = defaultdict(list)
        for address, hosts in spec.entries:
            for host in hosts:
                addresses[host].append(address)
                names[address].append(host)
        self._addresses: Mapping[str, list[str]] = dict(addresses)
        self._names: Mapping[str, list[str]] = dict(names)

    def answer(self, question: Question, proceed: Proceed) -> Response:
        """Answer from the entries; an unknown name fails unless it falls through (plugin/hosts/hosts.go)."""
        name = question.name.lower()
        if question.type == "PTR":
            names = self._names.get(address_of_reverse(name), []) if self.spec.reverse else []
            if not names:
                return proceed(question)
            return Response(answers=tuple(Record(question.name, "PTR", self.spec.ttl_s, host) for host in names))
        if not longest_zone(self.spec.zones, name):
            return proceed(question)
        known = self._addresses.get(name, [])
        records = (address_record(question.name, self.spec.ttl_s, address) for address in known)
        answers = tuple(record for record in records if record.type == question.type)
        if answers or known:
            return Response(answers=answers)
        if falls_through(self.spec.fall, name):
            return proceed(question)
        return Response("SERVFAIL", why=f"the hosts plugin has no entry for {name} and no fallthrough")


class TemplateHandler:
    """All ``template`` directives of a server block (plugin/template/template.go)."""

    def __init__(self, spec: Templates, lookup: Proceed) -> None:
        self.spec, self._lookup = spec, lookup
        self._zones = tuple(zone for rule in spec.rules for zone in rule.zones)

    def answer(self, question: Question, proceed: Proceed) -> Response:
        """Answer from the first template that fits; where its patterns do not, NXDOMAIN unless it falls through."""
        name = question.name.lower()
        if not longest_zone(self._zones, name):
            return proceed(question)
        for rule in self.spec.rules:
            if not _concerns(rule, question):
                continue
            data = _template_data(rule, question)
            if data is not None:
                return self._render(rule, question, data)
            if not falls_through(rule.fall, name):
                return Response("NXDOMAIN", why="no pattern of the template matches and it does not fall through")
        return proceed(question)

    def _render(self, rule: TemplateRule, question: Question, data: Mapping[str, Value]) -> Response:
        if rule.rcode == "SERVFAIL":
            return Response("SERVFAIL", why="the template says so")
        try:
            answers, additional, authority = (
                tuple(_parse_record(part.render(data)) for part in parts)
                for parts in (rule.answers, rule.additional, rule.authority)
            )
        except TemplateError as reason:
            return Response("SERVFAIL", why=f"template: {reason}")
        forwarded = 0
        if answers and question.type in ("A", "AAAA") and answers[-1].type == "CNAME":
            more = self._lookup(question.ask(answers[-1].data))
            answers, forwarded = (*answers, *more.answers), more.forwarded
        return Response(rule.rcode, answers, authority, additional, forwarded=forwarded)


def _concerns(rule: TemplateRule, question: Question) -> bool:
    return (
        rule.query_class in ("IN", "ANY")
        and rule.query_type in (question.type, "ANY")
        and bool(longest_zone(rule.zones, question.name))
    )


def _template_data(rule: TemplateRule, question: Question) -> Mapping[str, Value] | None:
    for pattern in rule.patterns:
        found = pattern.search(question.name.lower())
        if found:
            groups = {str(number): found[number] or "" for number in range((pattern.groups or 0) + 1)}
            groups |= {name: text or "" for name, text in found.groupdict().items()}
            return {
                "Name": question.name.lower(),
                "Match": tuple(groups[str(number)] for number in range((pattern.groups or 0) + 1)),
                "Group": groups,
                "Class": "IN",
                "Type": question.type,
                "Zone": longest_zone(rule.zones, question.name),
                "Question": {"Name": question.name},
                "Remote": question.client,
            }
    return None


def _parse_record(text: str) -> Record:
    """Read a record in zone-file form: ``name [ttl] [IN] type data``; without a TTL it is 3600 s (miekg/dns)."""
    words = text.split()
    if len(words) < 2:
        raise TemplateError(f"not a record: {text!r}")
    name, rest, ttl = words[0], words[1:], 3600
    while rest and (rest[0].isdecimal() or rest[0].upper() == "IN"):
        ttl = int(rest[0]) if rest[0].isdecimal() else ttl
        rest = rest[1:]
    if len(rest) < 2:
        raise TemplateError(f"not a record: {text!r}")
    type, data = rest[0].upper(), " ".join(word for word in rest[1:] if word not in ("(", ")"))
    if type in ("A", "AAAA"):
        data = _address_data(type, data)
    if type in ("CNAME", "PTR", "NS", "MX", "SRV", "DNAME"):
        data = absolute(data)
    return Record(absolute(name), type, ttl, data)


def _address_data(type: str, data: str) -> str:
    try:
        address = ip_address(data)
    except ValueError:
        raise TemplateError(f"bad {type} record: {data!r}") from None
    if address.version != (4 if type == "A" else 6):
        raise TemplateError(f"bad {type} record: {data!r}")
    return str(address)


class Dns64Handler:
    """The ``dns64`` plugin: an AAAA question without AAAA answer asks for A, embedding addresses (RFC 6147, 6052)."""

    def __init__(self, spec: Dns64, lookup: Proceed) -> None:
        self.spec, self._lookup = spec, lookup
        self._network = ip_network(spec.prefix)

    def answer(self, question: Question, proceed: Proceed) -> Response:
        """Answer AAAA questions of IPv6 clients (all with ``allow_ipv4``) from A records where needed."""
        eligible = self.spec.allow_ipv4 or ":" in question.client
        if question.type != "AAAA" or not eligible:
            return proceed(question)
        response = proceed(question)
        native = response.of_type("AAAA")
        if response.rcode == "NXDOMAIN" or (native and not self.spec.translate_all):
            return response
        found = self._lookup(question.ask(type="A"))
        answers = tuple(self._translated(record) for record in found.answers)
        if found.rcode != "NOERROR" or not answers:
            return response.after(found.forwarded)
        return Response(answers=answers, forwarded=response.forwarded + found.forwarded)

    def _translated(self, record: Record) -> Record:
        if record.type != "A":
            return record
        return Record(record.name, "AAAA", record.ttl, embed(record.data, str(self._network)))


def embed(address: str, prefix: str) -> str:
    """Return an IPv4 address embedded in an IPv6 prefix; bits 64 to 71 stay zero (RFC 6052 §2.2)."""
    network = ip_network(prefix)
    octets = bytearray(network.network_address.packed)
    at = network.prefixlen // 8
    for octet in ip_address(address).packed:
        at += at == 8
        octets[at] = octet
        at += 1
    return str(IPv6Address(bytes(octets)))


class WhoamiHandler:
    """The ``whoami`` plugin: no answer section, the client's address in the additional one."""

    def answer(self, question: Question, proceed: Proceed) -> Response:
        """Answer every question."""
        if not question.client:
            return Response()
        return Response(additional=(address_record(question.name, 0, question.client),))


class ForwardHandler:
    """A ``forward`` (or ``grpc``) plugin; ``relay`` asks the upstreams."""

    def __init__(self, spec: Forward, relay: Callable[[Forward, Question], Response]) -> None:
        self.spec, self._relay = spec, relay

    def answer(self, question: Question, proceed: Proceed) -> Response:
        """Ask an upstream for names under the zone that are not excepted."""
        spec = self.spec
        if not is_subdomain(question.name, spec.zone) or longest_zone(spec.excepted, question.name):
            return proceed(question)
        response = self._relay(spec, question).after(1)
        if response.rcode in spec.next_on:
            return proceed(question).after(response.forwarded)
        return response

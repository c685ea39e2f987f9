"""Answers of CoreDNS's ``k8s_external`` plugin: Services under a public zone.

Follows ``plugin/k8s_external`` and ``plugin/kubernetes/external.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from netsim.cluster.corefile import External
from netsim.cluster.corefile.specs import falls_through
from netsim.cluster.dns.directory import NO_PORT, Directory, external_addresses
from netsim.cluster.dns.kubernetes import Entry, Proceed, Sections, location_records
from netsim.cluster.dns.records import Question, Record, Response, address_record, soa
from netsim.cluster.names import absolute, address_of_reverse, below, canonical_address, joined, longest_zone
from netsim.cluster.objects import Service


class ExternalHandler:
    """One ``k8s_external`` plugin; it needs a ``kubernetes`` plugin in the same server block for its data."""

    def __init__(self, spec: External, directory: Directory, lookup: Proceed, address: str, serial: int = 0) -> None:
        self.spec, self.directory = spec, directory
        self._lookup, self._address, self._serial = lookup, address, serial

    def answer(self, question: Question, proceed: Proceed) -> Response:
        """Answer a question, or pass it on when it lies in none of the zones or falls through."""
        zone = longest_zone(self.spec.zones, question.name)
        if not zone:
            return proceed(question)
        asked_zone = question.name[len(question.name) - len(zone) :]
        labels = below(question.name.lower(), zone)
        if not labels:
            return self._apex(question, asked_zone)
        if labels[-1] == self.spec.apex.lower():
            return self._server_name(question, labels[:-1], asked_zone)
        if question.type == "PTR" and (address := address_of_reverse(question.name)):
            return self._pointer(question, address, asked_zone, proceed)
        entries = self._entries(labels, asked_zone)
        if entries is None:
            return proceed(question) if falls_through(self.spec.fall, question.name) else self._none(asked_zone)
        build = {"A": self._addresses, "AAAA": self._addresses, "SRV": self._locations}.get(question.type)
        found = build(question, entries) if build else Sections()
        if not found.answers:
            return self._empty(asked_zone)
        return Response(
            answers=tuple(dict.fromkeys(found.answers)), additional=found.additional, forwarded=found.forwarded
        )

    # ---------------------------------------------------------------- apex

    def _soa(self, zone: str) -> Record:
        apex = self.spec.apex
        return soa(zone, self.spec.ttl_s, self._serial, server=f"ns1.{apex}", mailbox=f"hostmaster.{apex}")

    def _empty(self, zone: str) -> Response:
        return Response(authority=(self._soa(zone),))

    def _none(self, zone: str) -> Response:
        return Response("NXDOMAIN", authority=(self._soa(zone),))

    def _apex(self, question: Question, zone: str) -> Response:
        if question.type == "SOA":
            return Response(answers=(self._soa(zone),))
        if question.type != "NS":
            return self._empty(zone)
        server = joined("ns1", self.spec.apex, zone)
        answers = (Record(question.name, "NS", self.spec.ttl_s, server),)
        return Response(answers=answers, additional=(address_record(server, self.spec.ttl_s, self._address),))

    def _server_name(self, question: Question, labels: list[str], zone: str) -> Response:
        if labels not in ([], ["ns1"]):
            return self._none(zone)
        record = address_record(question.name, self.spec.ttl_s, self._address)
        if labels and record.type == question.type:
            return Response(answers=(record,))
        return self._empty(zone)

    # ---------------------------------------------------------------- services

    def _pointer(self, question: Question, address: str, zone: str, proceed: Proceed) -> Response:
        names = (joined(s.name, s.namespace, self.spec.zones[0]) for s in self.directory.external_at(address))
        records = tuple(Record(question.name, "PTR", self.spec.ttl_s, name) for name in dict.fromkeys(names))
        if records:
            return Response(answers=records)
        return proceed(question) if falls_through(self.spec.fall, question.name) else self._none(zone)

    def _entries(self, labels: list[str], zone: str) -> tuple[Entry, ...] | None:
        """Return what ``[[_port._protocol | endpoint].]service.namespace`` leads to; ``None`` for no such name."""
        namespace, rest = labels[-1], labels[:-1]
        if not self.directory.exposed(namespace):
            return None
        if not rest:
            return ()
        service = self.directory.service(namespace, rest[-1])
        if service is None or len(rest) > 3:
            return None
        endpoint = rest[0].removeprefix("_") if len(rest) == 2 else ""
        port, protocol = (label.removeprefix("_") for label in (rest[:2] if len(rest) == 3 else ("", "")))

        def wanted(name: str, of: str) -> bool:
            return (not port or name.lower() == port) and (not protocol or of.lower() == protocol)

        base = joined(service.name, service.namespace, zone)
        outward = external_addresses(service)
        if self.spec.headless and not outward and (service.headless or endpoint):
            return tuple(self._endpoints(service, endpoint, wanted, base)) or None
        ports = [p.port for p in service.ports if wanted(p.name, p.protocol)] if service.ports else [NO_PORT]
        return tuple(Entry(address, number, base) for address in outward for number in ports) or None

    def _endpoints(
        self, service: Service, label: str, wanted: Callable[[str, str], bool], base: str
    ) -> Iterator[Entry]:
        endpoints = self.directory.labelled(service, label) if label else self.directory.ready(service)
        for endpoint in endpoints:
            owner = joined(self.directory.label(endpoint), base)
            for port in self.directory.ports(endpoint):
                if wanted(port.name, port.protocol):
                    yield Entry(endpoint.address, port.port, owner)

    # ---------------------------------------------------------------- records

    def _addresses(self, question: Question, entries: tuple[Entry, ...]) -> Sections:
        records: list[Record] = []
        forwarded = 0
        for entry in entries:
            if entry.is_address:
                record = address_record(question.name, self.spec.ttl_s, canonical_address(entry.host))
                records += [record] if record.type == question.type else []
                continue
            target = absolute(entry.host)
            more = self._lookup(question.ask(target))
            forwarded += more.forwarded
            records += [Record(question.name, "CNAME", self.spec.ttl_s, target), *more.answers]
        return Sections(tuple(records), forwarded=forwarded)

    def _locations(self, question: Question, entries: tuple[Entry, ...]) -> Sections:
        """Return SRV records; a load balancer that has a host name is the target itself."""
        named = [Entry(e.host, e.port, absolute(e.host)) if not e.is_address else e for e in entries]
        found = location_records(question.name, named, self.spec.ttl_s)
        addresses = tuple(record for record in found.additional if record.data)
        more = [self._lookup(question.ask(e.owner, type)) for e in named if not e.is_address for type in ("A", "AAAA")]
        extra = tuple(record for response in more for record in response.answers)
        return Sections(found.answers, (*addresses, *extra), sum(response.forwarded for response in more))

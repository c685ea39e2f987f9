"""Answers of CoreDNS's ``kubernetes`` plugin.

Follows ``plugin/kubernetes`` (handler.go, kubernetes.go, parse.go, reverse.go, ns.go) and the record building of
``plugin/backend_lookup.go``; the names themselves are the Kubernetes DNS specification's (schema 1.1.0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from netsim.cluster.corefile import Kubernetes
from netsim.cluster.corefile.specs import falls_through
from netsim.cluster.dns.directory import NO_PORT, Directory
from netsim.cluster.dns.names import ServiceName, parse_service_name
from netsim.cluster.dns.records import Question, Record, Response, address_record, soa
from netsim.cluster.names import (
    absolute,
    address_of_reverse,
    below,
    canonical_address,
    is_reverse,
    is_subdomain,
    joined,
    longest_zone,
)
from netsim.cluster.objects import Endpoint, Service

SCHEMA_VERSION = "1.1.0"
VERSION_TTL_S = 28800
CLUSTER_ID = "cluster1"
"""Id of the cluster in names of a multicluster zone: the set is this cluster alone, every Service exported."""
MAX_CHAIN = 7
"""Longest CNAME chain inside a zone (plugin/backend_lookup.go)."""

Proceed = Callable[[Question], Response]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a name leads to: an address or another name, a port, and the name that owns the address record."""

    host: str
    port: int = 0
    owner: str = ""

    @property
    def is_address(self) -> bool:
        """Whether ``host`` is an address."""
        return bool(canonical_address(self.host))


Entries = tuple[Entry, ...] | None
"""Entries of a name; empty when the name exists without any, ``None`` when it does not exist."""


@dataclass(frozen=True, slots=True)
class Sections:
    """Answer and additional section under construction."""

    answers: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    forwarded: int = 0


class KubernetesHandler:
    """One ``kubernetes`` plugin over one cluster.

    Parameters
    ----------
    spec: the plugin's configuration.
    directory: the cluster's objects, indexed.
    lookup: asks the whole server again, for names outside the plugin's zones.
    nameservers: gives names (below ``svc``) and addresses of the Services that lead to this server.
    serial: serial number in SOA records.
    """

    def __init__(
        self,
        spec: Kubernetes,
        directory: Directory,
        lookup: Proceed,
        nameservers: Callable[[], tuple[tuple[str, str], ...]] = tuple,
        serial: int = 0,
    ) -> None:
        self.spec, self.directory = spec, directory
        self._lookup, self._nameservers, self._serial = lookup, nameservers, serial
        self._primary = next((zone for zone in spec.zones if not is_reverse(zone)), spec.zones[0])
        self._by_type: dict[str, Callable[[Question, str], Sections | None]] = {
            "A": self._addresses,
            "AAAA": self._addresses,
            "TXT": self._text,
            "CNAME": self._alias,
            "PTR": self._pointer,
            "SRV": self._service_location,
            "SOA": self._authority,
            "NS": self._name_server,
        }

    def answer(self, question: Question, proceed: Proceed) -> Response:
        """Answer a question, or pass it on when it lies in none of the zones or falls through."""
        zone = longest_zone(self.spec.zones, question.name)
        if not zone:
            return proceed(question)
        if question.type in ("AXFR", "IXFR"):
            return Response("REFUSED", why="zone transfers need a TCP session of their own")
        asked_zone = question.name[len(question.name) - len(zone) :]
        found = self._by_type.get(question.type, self._nothing)(question, asked_zone)
        if found is None and falls_through(self.spec.fall, question.name):
            return proceed(question)
        if found is None or not found.answers:
            negative = (soa(asked_zone, self.spec.ttl_s, self._serial),)
            return Response("NXDOMAIN" if found is None else "NOERROR", authority=negative)
        return Response(
            answers=tuple(dict.fromkeys(found.answers)),
            additional=tuple(dict.fromkeys(found.additional)),
            forwarded=found.forwarded,
        )

    # ---------------------------------------------------------------- record types

    def _addresses(self, question: Question, zone: str) -> Sections | None:
        return self._chase(question, zone, ())

    def _chase(self, question: Question, zone: str, chain: tuple[str, ...]) -> Sections | None:
        """Return the address records of a name, following CNAMEs: inside the zone here, else through the server."""
        entries = self._entries(question, zone)
        if entries is None:
            return None
        records: list[Record] = []
        forwarded = 0
        for entry in entries:
            if entry.is_address:
                records += self._of_family(question.name, entry.host, question.type)
                continue
            target = absolute(entry.host)
            if is_subdomain(target, question.name) or len(chain) > MAX_CHAIN or target.lower() in chain:
                continue
            inside = is_subdomain(target, zone)
            more = self._inside(question, zone, target, chain) if inside else self._elsewhere(question, target)
            forwarded += more.forwarded
            if more.answers or not inside:
                records += [Record(question.name, "CNAME", self.spec.ttl_s, target), *more.answers]
        return Sections(tuple(records), forwarded=forwarded)

    def _inside(self, question: Question, zone: str, target: str, chain: tuple[str, ...]) -> Sections:
        found = self._chase(question.renamed(target), zone, (*chain, question.name.lower()))
        return found or Sections()

    def _elsewhere(self, question: Question, target: str) -> Sections:
        response = self._lookup(question.ask(target))
        return Sections(response.answers, forwarded=response.forwarded)

    def _of_family(self, name: str, address: str, type: str) -> list[Record]:
        record = address_record(name, self.spec.ttl_s, canonical_address(address))
        return [record] if record.type == type else []

    def _text(self, question: Question, zone: str) -> Sections | None:
        if below(question.name.lower(), zone.lower()) == ["dns-version"]:
            return Sections((Record(question.name, "TXT", VERSION_TTL_S, f'"{SCHEMA_VERSION}"'),))
        return Sections() if self._records(question.name, zone) else None

    def _alias(self, question: Question, zone: str) -> Sections | None:
        entries = self._entries(question, zone)
        if entries is None:
            return None
        if not entries or entries[0].is_address:
            return Sections()
        return Sections((Record(question.name, "CNAME", self.spec.ttl_s, absolute(entries[0].host)),))

    def _pointer(self, question: Question, zone: str) -> Sections | None:
        address = address_of_reverse(question.name)
        if not address:
            return None if self._records(question.name, zone) is None else Sections()
        names = tuple(dict.fromkeys(self._reverse(address)))
        if not names:
            return None
        return Sections(tuple(Record(question.name, "PTR", self.spec.ttl_s, name) for name in names))

    def _service_location(self, question: Question, zone: str) -> Sections | None:
        entries = self._entries(question, zone)
        if entries is None:
            return None
        return location_records(question.name, [e for e in entries if e.is_address], self.spec.ttl_s)

    def _authority(self, question: Question, zone: str) -> Sections:
        apex = question.name.lower() == zone.lower()
        return Sections((soa(zone, self.spec.ttl_s, self._serial),) if apex else ())

    def _name_server(self, question: Question, zone: str) -> Sections | None:
        if question.name.lower() != zone.lower():
            return self._nothing(question, zone)
        entries = list(self._server_entries(zone))
        answers = dict.fromkeys(Record(question.name, "NS", self.spec.ttl_s, entry.owner) for entry in entries)
        extra = (address_record(entry.owner, self.spec.ttl_s, entry.host) for entry in entries)
        return Sections(tuple(answers), tuple(extra))

    def _nothing(self, question: Question, zone: str) -> Sections | None:
        """Types that the plugin has no records of: an address lookup tells whether the name exists."""
        return None if self._entries(question.renamed(type="A"), zone) is None else Sections()

    # ---------------------------------------------------------------- what names lead to

    def _entries(self, question: Question, zone: str) -> Entries:
        if question.name.lower() == joined("ns.dns", zone).lower():
            return tuple(Entry(entry.host, 0, question.name) for entry in self._server_entries(zone))
        return self._records(question.name, zone)

    def _server_entries(self, zone: str) -> Iterator[Entry]:
        found = self._nameservers()
        for name, address in found:
            yield Entry(address, 0, joined(name, "svc", zone))
        if not found:
            yield Entry("127.0.0.1", 0, joined("ns.dns", zone))

    def _records(self, name: str, zone: str) -> Entries:
        multicluster = zone.lower() in self.spec.multicluster
        asked = parse_service_name(
            below(name.lower(), zone.lower()), multicluster=multicluster, zonal=self.spec.zonal and not multicluster
        )
        if asked is None:
            return None
        if not asked.kind or not asked.namespace:
            return ()
        if is_reverse(name) or not self.directory.exposed(asked.namespace):
            return None
        if asked.kind == "pod":
            return self._pods(asked)
        return self._services(asked, zone)

    def _pods(self, asked: ServiceName) -> Entries:
        if self.spec.pods == "disabled":
            return None
        if not asked.service:
            return ()
        address = address_of_pod_label(asked.service)
        if self.spec.pods == "insecure":
            return (Entry(address),) if canonical_address(address) else None
        namespaces = self.directory.pods_at(address)
        return (Entry(address),) if asked.namespace in namespaces else None

    def _services(self, asked: ServiceName, zone: str) -> Entries:
        if not asked.service:
            return ()
        service = self.directory.service(asked.namespace, asked.service)
        if service is None:
            return None
        base = joined(service.name, service.namespace, "svc", zone)
        if service.type == "ExternalName":
            return self._external_name(service, asked, zone)
        if self.spec.ignore_empty_service and not service.headless and not self.directory.ready(service):
            return None
        if service.headless or asked.endpoint or asked.topology:
            return tuple(self._endpoints(service, asked, base, zone)) or None
        if asked.cluster and asked.cluster != CLUSTER_ID:
            return None
        ports = [p.port for p in service.ports if _wanted(asked, p.name, p.protocol)] if service.ports else [NO_PORT]
        if not ports or (not service.ports and not _wanted(asked, "", "TCP")):
            return None
        return tuple(Entry(address, port, base) for port in ports for address in service.cluster_ips)

    def _external_name(self, service: Service, asked: ServiceName, zone: str) -> Entries:
        imported = zone.lower() in self.spec.multicluster  # the multicluster API has no ExternalName
        if asked.endpoint or asked.topology or imported or canonical_address(service.external_name):
            return None
        return (Entry(service.external_name),)

    def _endpoints(self, service: Service, asked: ServiceName, base: str, zone: str) -> Iterator[Entry]:
        if asked.topology and not service.headless:
            return
        if asked.endpoint:
            endpoints: Iterable[Endpoint] = self.directory.labelled(service, asked.endpoint)
        else:
            endpoints = self._near(self.directory.ready(service), asked)
        multicluster = zone.lower() in self.spec.multicluster
        if asked.cluster and asked.cluster != CLUSTER_ID:
            return
        for endpoint in endpoints:
            label = self.directory.label(endpoint)
            owner = joined(label, CLUSTER_ID if multicluster else "", base)
            for port in self.directory.ports(endpoint):
                if _wanted(asked, port.name, port.protocol):
                    yield Entry(endpoint.address, port.port, owner)

    @staticmethod
    def _near(endpoints: tuple[Endpoint, ...], asked: ServiceName) -> tuple[Endpoint, ...]:
        """Keep the endpoints of the topology zone a name asks for; ``prefer`` takes all where it has none."""
        if not asked.topology:
            return endpoints
        near = tuple(endpoint for endpoint in endpoints if endpoint.zone.lower() == asked.topology)
        return near or (endpoints if asked.prefer else ())

    def _reverse(self, address: str) -> Iterator[str]:
        service = self.directory.service_at(address)
        if service is not None and self._served(service):
            yield joined(service.name, service.namespace, "svc", self._primary)
            return
        for owner, endpoint in self.directory.endpoints_at(address):
            if not self._served(owner) or (self.spec.ptr_hostname_only and not endpoint.hostname):
                continue
            yield joined(self.directory.label(endpoint), owner.name, owner.namespace, "svc", self._primary)

    def _served(self, service: Service) -> bool:
        return not self.spec.namespaces or self.directory.exposed(service.namespace)


def _wanted(asked: ServiceName, port: str, protocol: str) -> bool:
    """Whether a port fits the ``_port._protocol`` labels of a name; absent labels fit every port."""
    return (not asked.port or asked.port == port.lower()) and (not asked.protocol or asked.protocol == protocol.lower())


def address_of_pod_label(label: str) -> str:
    """Return the address that the first label of a pod's name spells (``10-0-0-7``, ``fd00--7``), checked or not."""
    if label.count("-") == 3 and "--" not in label:
        return label.replace("-", ".")
    return label.replace("-", ":")


def location_records(name: str, entries: Iterable[Entry], ttl: int) -> Sections:
    """Return SRV records with the addresses of their targets (plugin/backend_lookup.go: SRV).

    The weight is 100 over the number of entries, portless and duplicate ones counted, at least 1; priority is 0.
    """
    entries = tuple(entries)
    weight = max(int(100 / (100 * len(entries)) * 100), 1) if entries else 0
    usable = [entry for entry in entries if entry.port != NO_PORT]
    answers = dict.fromkeys(Record(name, "SRV", ttl, f"0 {weight} {e.port} {e.owner}") for e in usable)
    extra = dict.fromkeys(address_record(e.owner, ttl, canonical_address(e.host)) for e in usable)
    return Sections(tuple(answers), tuple(extra))

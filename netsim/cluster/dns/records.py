"""Questions, records and responses: what DNS servers and resolvers exchange."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from netsim.cluster.corefile import Cache
from netsim.cluster.names import is_subdomain

Result = Literal["ANSWER", "NODATA", "NXDOMAIN", "SERVFAIL", "REFUSED", "TIMEOUT"]

_HEADER_BYTES = 12
_FIXED_RECORD_BYTES = 12
"""Compressed owner name (2), type, class (2 each), TTL (4) and data length (2): RFC 1035 §4.1.3 and §4.1.4."""
_CACHE_DEFAULT_TTL_S = 5
"""TTL that CoreDNS's cache assumes where a response has no record to take one from (pkg/dnsutil/ttl.go)."""


@dataclass(frozen=True, slots=True)
class Question:
    """One query.

    ``client`` is the address it comes from; ``depth`` counts the queries a server made to answer another.
    """

    name: str
    type: str
    client: str = ""
    depth: int = 0

    def ask(self, name: str = "", type: str = "") -> Question:
        """Return a question a server asks on the way to this one's answer."""
        return Question(name or self.name, type or self.type, self.client, self.depth + 1)

    def renamed(self, name: str = "", type: str = "") -> Question:
        """Return the same question under another name or type."""
        return Question(name or self.name, type or self.type, self.client, self.depth)


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record; ``data`` in the text form of zone files, names in it absolute, TTL in seconds."""

    name: str
    type: str
    ttl: int
    data: str

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"name": self.name, "type": self.type, "ttl": self.ttl, "data": self.data}

    @property
    def target(self) -> str:
        """The name that the data points to (CNAME, PTR, NS, SRV), empty for other types."""
        return self.data.rpartition(" ")[2] if self.type in ("CNAME", "PTR", "NS", "SRV", "MX", "DNAME") else ""

    def with_target(self, target: str) -> Record:
        """Return the record pointing elsewhere."""
        return replace(self, data=f"{self.data[: len(self.data) - len(self.target)]}{target}")

    @property
    def size_bytes(self) -> int:
        """Bytes on the wire with the owner name compressed."""
        match self.type:
            case "A":
                data = 4
            case "AAAA":
                data = 16
            case "SRV":
                data = 6 + len(self.target) + 1
            case "SOA":
                data = 64
            case _:
                data = len(self.data) + 1
        return _FIXED_RECORD_BYTES + data


@dataclass(frozen=True, slots=True)
class Response:
    """A server's answer.

    Parameters
    ----------
    rcode: ``NOERROR``, ``NXDOMAIN``, ``SERVFAIL``, ``REFUSED`` and so on.
    answers, authority, additional: the sections.
    why: reason for a failure or an absent name, for people; may be empty.
    forwarded: how many queries the server sent to an upstream for it, with nothing cached.
    truncated: the TC bit: it did not fit into a datagram and ``answers`` holds what did.
    """

    rcode: str = "NOERROR"
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    why: str = ""
    forwarded: int = 0
    truncated: bool = False

    @property
    def result(self) -> Result:
        """The outcome in one word."""
        if self.rcode == "NOERROR":
            return "ANSWER" if self.answers else "NODATA"
        return self.rcode if self.rcode in ("NXDOMAIN", "REFUSED") else "SERVFAIL"  # type: ignore[return-value]

    def of_type(self, type: str) -> tuple[Record, ...]:
        """Return the answers of one type."""
        return tuple(record for record in self.answers if record.type == type)

    def after(self, forwarded: int) -> Response:
        """Return the response with more upstream queries counted."""
        return replace(self, forwarded=self.forwarded + forwarded) if forwarded else self

    def size_bytes(self, question: Question) -> int:
        """Return the bytes of the DNS message, owner names compressed, without EDNS."""
        sections = (*self.answers, *self.authority, *self.additional)
        return _HEADER_BYTES + len(question.name) + 5 + sum(record.size_bytes for record in sections)

    def fitted(self, question: Question, limit_bytes: int) -> Response:
        """Return what fits into a datagram: additional records go first, then answers, which sets the TC bit."""
        if self.size_bytes(question) <= limit_bytes:
            return self
        lean = replace(self, additional=())
        if lean.size_bytes(question) <= limit_bytes:
            return lean
        room = limit_bytes - replace(lean, answers=()).size_bytes(question)
        kept: list[Record] = []
        for record in self.answers:
            room -= record.size_bytes
            if room < 0:
                break
            kept.append(record)
        return replace(lean, answers=tuple(kept), truncated=True)

    # ---------------------------------------------------------------- cache

    @property
    def negative(self) -> bool:
        """Whether a cache holds it in its negative half: absent name or type, with the zone's SOA (RFC 2308)."""
        soa = any(record.type == "SOA" for record in self.authority)
        return soa and (self.rcode == "NXDOMAIN" or (self.rcode == "NOERROR" and not self.answers))

    def cache_ttl(self, cache: Cache | None, name: str = ".") -> float:
        """Return for how many seconds CoreDNS's ``cache`` plugin keeps it; 0 means not at all (plugin/cache/cache.go).

        Parameters
        ----------
        cache: the plugin, ``None`` where the server has none.
        name: the name asked, which decides about ``disable`` zones.
        """
        if cache is None or self.truncated:
            return 0.0
        if self.rcode in ("SERVFAIL", "NOTIMP"):
            return cache.servfail_s
        if not self.negative and self.rcode != "NOERROR":
            return 0.0
        limits, disabled = (cache.denial, cache.no_denial) if self.negative else (cache.success, cache.no_success)
        if any(is_subdomain(name, zone) for zone in disabled):
            return 0.0
        ttls = [record.ttl for record in (*self.answers, *self.authority, *self.additional)]
        shortest = min(ttls, default=_CACHE_DEFAULT_TTL_S)
        return float(min(max(shortest, limits.min_ttl_s), limits.max_ttl_s))

    def with_ttl(self, ttl: int) -> Response:
        """Return the response with every record's TTL set."""
        sections = (
            tuple(r if r.ttl == ttl else Record(r.name, r.type, ttl, r.data) for r in section)
            for section in (self.answers, self.authority, self.additional)
        )
        answers, authority, additional = sections
        return replace(self, answers=answers, authority=authority, additional=additional)


def soa(zone: str, ttl: int, serial: int, *, server: str = "ns.dns", mailbox: str = "hostmaster") -> Record:
    """Return the SOA record CoreDNS makes up for a zone; its own TTL is capped at 300 s (plugin/backend_lookup.go)."""
    suffix = "" if zone == "." else zone
    data = f"{server}.{suffix} {mailbox}.{suffix} {serial} 7200 1800 86400 {ttl}"
    return Record(zone, "SOA", min(ttl, 300), data)


def address_record(name: str, ttl: int, address: str) -> Record:
    """Return the A or AAAA record of an address."""
    return Record(name, "AAAA" if ":" in address else "A", ttl, address)

"""Names outside the cluster: what upstream servers are taken to answer.

The model cannot know the internet. It follows a stated rule, and whatever a user lists wins over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import crc32

from netsim.cluster.dns.records import Question, Record, Response, address_record, soa
from netsim.cluster.names import absolute, is_subdomain

_SUFFIXES = """
    com net org edu gov mil int arpa info biz name pro aero coop museum jobs mobi travel tel cat asia post xxx
    app dev cloud page web tech site online store shop blog wiki news live media video music game games
    xyz top club vip work works world today email network systems solutions services digital agency
    academy education school university college training institute science bio health care hospital dental
    bank finance money fund capital insurance tax loan credit cash market trade trading exchange
    google amazon aws azure microsoft apple ibm cisco bmw sap siemens bosch
    eco green energy solar space earth land city town berlin london paris nyc tokyo amsterdam
    art design photo photos pictures gallery studio film show theater style fashion
    food restaurant bar cafe coffee pizza wine beer pub kitchen recipes
    run software computer hosting host domains link click download zone tools support
    chat social community group team center company inc llc ltd gmbh law legal lawyer consulting
"""
PUBLIC_SUFFIXES = frozenset(_SUFFIXES.split())
"""Common generic top-level domains; every two-letter label counts as a country's."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What upstream servers answer.

    Parameters
    ----------
    names: addresses of names, by name; a listed name exists with exactly these, an empty tuple means it has no address.
    assume_public: whether an unlisted name under a public top-level domain exists, with one A and no AAAA record.
        Names of one label, and leftovers of a search list (``shop.cluster.local``, ``x.corp.internal``), never exist.
    search: search domains of the nodes; unlisted names under them do not exist.
    ttl_s, negative_ttl_s: TTL of answers and of their absence, in seconds.
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    assume_public: bool = True
    search: tuple[str, ...] = ()
    ttl_s: int = 300
    negative_ttl_s: int = 300

    def answer(self, question: Question, *, stub: bool = False) -> Response:
        """Answer as an upstream would; ``stub`` says that the query went to a server of its own for this zone.

        A name under a stub zone is taken to exist, because someone configured a server for it.
        """
        name = absolute(question.name).lower()
        addresses = self._listed(name)
        if addresses is None and (stub or self._public(name)):
            addresses = (invented_address(name),)
        if addresses is None:
            return Response("NXDOMAIN", authority=(self._soa(name),), why=f"no name {name} outside the cluster")
        records = (address_record(question.name, self.ttl_s, address) for address in addresses)
        answers = tuple(record for record in records if record.type == question.type)
        return Response(answers=answers, authority=() if answers else (self._soa(name),))

    def _listed(self, name: str) -> tuple[str, ...] | None:
        for candidate in (name, name.removesuffix(".")):
            if candidate in self.names:
                return tuple(self.names[candidate])
        return None

    def _public(self, name: str) -> bool:
        labels = name.removesuffix(".").split(".")
        if not self.assume_public or len(labels) < 2 or labels[-1] == "arpa":
            return False
        if any(is_subdomain(name, absolute(domain)) for domain in self.search):
            return False
        top = labels[-1]
        return top in PUBLIC_SUFFIXES or (len(top) == 2 and top.isalpha())

    def _soa(self, name: str) -> Record:
        zone = absolute(name.removesuffix(".").rpartition(".")[2])
        return soa(zone, self.negative_ttl_s, 1)


def invented_address(name: str) -> str:
    """Return the address an unlisted outside name gets: in 198.18.0.0/15, the range for benchmarks (RFC 2544)."""
    number = crc32(name.encode()) & 0x1FFFF
    return f"198.{18 + (number >> 16)}.{number >> 8 & 0xFF}.{number & 0xFF}"

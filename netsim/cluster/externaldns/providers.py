"""How late a published name appears: the listing, the batches and the propagation of each DNS provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Provider:
    """What a DNS provider's interface allows.

    Parameters
    ----------
    page: records a list call returns; ``None``: the whole zone in one transfer.
    rate_per_s: calls a second; ``None`` where no figure was read. record_s: time to list one record, where measured.
    batch: changes per call. batch_interval_s: pause between batches (ExternalDNS's flag).
    propagation_s: until all name servers answer with a change; ``None`` where no figure was read.
    source: of these figures.
    """

    name: str
    page: int | None
    rate_per_s: float | None
    batch: int
    batch_interval_s: float
    propagation_s: float | None
    source: str
    record_s: float = 0.0


PROVIDERS: Mapping[str, Provider] = {
    each.name: each
    for each in (
        Provider(
            "aws", 300, 5.0, 1000, 1.0, 60.0,
            "external-dns docs/flags (batch, 5 requests a second per account), issue 2598 (page), "
            "Route 53 docs (60 s), issue 1784 (listing 427,000 records took 2098 s)",
            record_s=2098 / 427000,
        ),
        Provider("google", None, None, 1000, 1.0, None, "external-dns docs/flags (batch)"),
        Provider("cloudflare", 100, 4.0, 200, 1.0, None, "external-dns docs/flags; Cloudflare: 1200 requests in 5 min"),
        Provider(
            "azure", 100, 12000 / 3600, 1, 0.0, 60.0,
            "Azure Resource Manager throttling (12000 reads an hour), one call per record set; Azure DNS FAQ (60 s)",
        ),
        Provider("rfc2136", None, None, 50, 0.0, 0.0, "external-dns docs/flags; AXFR lists a zone, RFC 2136 updates"),
        Provider("ovh", 1, 20.0, 1, 0.0, None, "external-dns docs/flags (20 calls a second)"),
    )
}  # fmt: skip


def list_calls(provider: Provider, records: float, zones: int = 1) -> int:
    """Return the calls that list all records of the zones, the one that lists the zones included."""
    pages = zones if provider.page is None else max(ceil(records / provider.page), zones)
    return 1 + pages


@dataclass(frozen=True, slots=True)
class Lag:
    """How late a change becomes visible, in seconds.

    Parameters
    ----------
    wait_s: mean wait for the next sync. calls_s: listing and applying. propagation_s: at the provider.
    old_ttl_s: how long a resolver may keep the old answer (0 for a new name nobody asked for).
    cycle_s: time between syncs, the interval or the time a sync takes. list_calls: calls of one listing.
    """

    wait_s: float
    calls_s: float
    propagation_s: float
    old_ttl_s: float
    cycle_s: float
    list_calls: int

    @property
    def mean_s(self) -> float:
        """Mean time until every resolver has the change."""
        return self.wait_s + self.calls_s + self.propagation_s + self.old_ttl_s

    @property
    def worst_s(self) -> float:
        """Time for a change that just missed a sync."""
        return self.cycle_s + self.calls_s + self.propagation_s + self.old_ttl_s


def record_lag(
    provider: Provider,
    records: float,
    *,
    changes: float = 1,
    zones: int = 1,
    interval_s: float = 60.0,
    old_ttl_s: float = 0.0,
) -> Lag:
    """Return the lag of a change: half an interval, the calls, the provider, and the old answer's TTL.

    Parameters
    ----------
    provider: from `PROVIDERS`, or an own one.
    records: record sets in the zones, ownership records included.
    changes: changes of the sync that carries this one.
    zones: hosted zones. interval_s: ``--interval``. old_ttl_s: TTL of the answer that is replaced, 0 for a new name.

    Notes
    -----
    A sync lists everything before it changes anything, so its length grows with the records there are; once it is
    longer than the interval, syncs follow each other.
    """
    calls = list_calls(provider, records, zones)
    per_call = 0.0 if provider.rate_per_s is None else 1.0 / provider.rate_per_s
    listing = max(calls * per_call, records * provider.record_s)
    batches = ceil(changes / provider.batch)
    applying = batches * per_call + max(batches - 1, 0) * provider.batch_interval_s
    cycle = max(interval_s, listing + applying)
    return Lag(cycle / 2, listing + applying, provider.propagation_s or 0.0, old_ttl_s, cycle, calls)

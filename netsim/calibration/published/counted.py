"""Questions that are counted rather than timed: entries, objects, calls, bytes. No machine moves them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Cost, Untimed
from netsim.calibration.published.setting import Setting
from netsim.cluster.externaldns.providers import PROVIDERS, Provider, list_calls, record_lag
from netsim.cluster.externaldns.records import Options, records_per_name
from netsim.errors import InputError, Place

Rule = Callable[[Bench, Setting], float]
"""What the model counts for a configuration."""


@dataclass(frozen=True, slots=True)
class Counted(Untimed):
    """A number of things, or the time they take; ``scaled`` lets baseline rows of the kind give the size of one."""

    kind: str
    rule: Rule
    scaled: bool = False
    bound: bool = False
    """The publication gives a limit, not a value: shown, not scored."""
    set: bool = False
    """The publication set it, or the software's authors: the model holds the same constant; shown, not scored."""
    calibrates: int = 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return nothing, but refuse a configuration that does not say what to count."""
        self.rule(bench, setting)
        return Cost(0.0)

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the count, times what the nearest baseline row has for the model's.

        What a baseline row does not state is as in the row that is asked: both are of one testbed.
        """
        known = [
            (setting.likeness(row.setting), row.quantity.si / other.rule(bench, own), row.id)
            for row, other in bench.baselines(self.kind)
            for own in [setting.but(**row.setting.values)]
            if isinstance(other, Counted)
        ]
        best = max(known, default=None) if self.scaled else None
        if best is not None:
            bench.note(f"size of one ({best[2]})", best[1], best[2])
        size = best[1] if best is not None else 1.0
        note = "a bound" if self.bound else "a setting" if self.set else ""
        return Answer(self.rule(bench, setting) * size, bool(note), note)


def stated(setting: Setting, *keys: str) -> float:
    """Return the first of some keys. Raises `InputError` when none is there: nothing can be counted without."""
    for key in keys:
        if key in setting:
            return setting.number(key)
    raise InputError("the configuration does not say how many", place=Place(field=f"configuration.{keys[0]}"))


def flows(bench: Bench, setting: Setting) -> float:
    """Return the flows of a policy between two sets of pods: one a pair, where flows match both ends' addresses."""
    return stated(setting, "from_pods") * stated(setting, "to_pods")


def map_entries(bench: Bench, setting: Setting) -> float:
    """Return the entries of an endpoint's policy map: each identity in each direction, which is part of the key."""
    return 2 * stated(setting, "identities")


def service_entries(bench: Bench, setting: Setting) -> float:
    """Return entries of an eBPF agent's tables: frontend and reverse of a Service, slots of endpoints, backends.

    One pod is one backend, however many Services it is behind, and a node has no more pods than kubelet lets it.
    """
    services = stated(setting, "services")
    slots = setting.number("endpoints", services * setting.number("endpoints_per_service", 1.0))
    pods = setting.number("pods", setting.number("backends", MAX_PODS * setting.number("nodes", NODES)))
    return 2 * services + slots + min(slots, pods)


MAX_PODS, NODES = 110, 3
"""kubelet's ``--max-pods``, and nodes of a small testbed where a row does not say how many."""


def ipvs_entries(bench: Bench, setting: Setting) -> float:
    """Return virtual and real servers of ipvs mode."""
    services = stated(setting, "services")
    return services + setting.number("endpoints", services * setting.number("endpoints_per_service", 1.0))


def slices(bench: Bench, setting: Setting) -> float:
    """Return EndpointSlices of a Service with so many endpoints."""
    return float(ceil(stated(setting, "endpoints") / setting.positive("per_slice", ENDPOINTS_PER_SLICE)))


ENDPOINTS_PER_SLICE = 100.0
"""``--max-endpoints-per-slice`` of kube-controller-manager."""


def _sliced(setting: Setting) -> bool:
    return setting.text("api").lower() == "endpointslice"


def object_bytes(bench: Bench, setting: Setting) -> float:
    """Return the size of the object that holds (a part of) a Service's endpoints: a head and an entry for each."""
    return bench.figure("api.object_bytes") + _held(setting) * _endpoint_bytes(bench, setting)


def _held(setting: Setting) -> float:
    return stated(setting, "per_slice") if _sliced(setting) else stated(setting, "endpoints")


def _endpoint_bytes(bench: Bench, setting: Setting) -> float:
    """Return the size of one endpoint: what the nearest baseline row leaves for each beside the head, else ours."""
    head = bench.figure("api.object_bytes")
    known = [
        (setting.likeness(row.setting), max(0.0, row.quantity.si - head) / _held(row.setting), row.id)
        for row, _ in bench.baselines("object-bytes")
    ]
    best = max(known, default=None)
    if best is None:
        return bench.figure("api.endpoint_bytes")
    bench.note(f"bytes of an endpoint ({best[2]})", best[1], best[2])
    return best[1]


def _objects(setting: Setting) -> float:
    """Return how many objects hold 20,000 endpoints or as many as the row says."""
    endpoints = setting.number("endpoints", 20000.0)
    return endpoints / stated(setting, "per_slice") if _sliced(setting) else 1.0


def _one(bench: Bench, setting: Setting) -> float:
    """Return the size of one object: as stated, else the model's."""
    stated = setting.text("object")
    if stated:
        return _bytes(stated)
    asked = setting.but(api="Endpoints") if setting.text("api").lower() == "any" else setting
    return object_bytes(bench, asked)


def _bytes(text: str) -> float:
    from netsim.calibration.published.quantities import quantity

    digits = text.rstrip("KkMGTiB")
    try:
        return quantity(float(digits), text[len(digits) :]).si
    except ValueError:
        raise InputError("not a size", place=Place(field="configuration.object"), got=text) from None


def update_bytes(bench: Bench, setting: Setting) -> float:
    """Return bytes sent for the change of one endpoint: its object, to every node."""
    return _one(bench, setting) * stated(setting, "nodes")


def rollout_bytes(bench: Bench, setting: Setting) -> float:
    """Return bytes sent while every endpoint is replaced, one after the other."""
    return update_bytes(bench, setting) * setting.number("endpoints", 20000.0)


def creation_bytes(bench: Bench, setting: Setting) -> float:
    """Return bytes sent when a Service appears with all its endpoints: every object, to every node, once."""
    return update_bytes(bench, setting) * (_objects(setting) if _sliced(setting) else 1.0)


# ------------------------------------------------------------------------------------------------ ExternalDNS


def _provider(setting: Setting) -> Provider:
    name = setting.text("provider", "aws").lower()
    if name not in PROVIDERS:
        raise InputError("no such DNS provider", place=Place(field="configuration.provider"), got=name,
                         allowed=", ".join(sorted(PROVIDERS)))  # fmt: skip
    found = PROVIDERS[name]
    return replace(found, page=setting.count("page_size")) if "page_size" in setting else found


def calls_per_refresh(bench: Bench, setting: Setting) -> float:
    """Return the calls that list all records once."""
    return float(list_calls(_provider(setting), stated(setting, "records")))


def calls_per_minute(bench: Bench, setting: Setting) -> float:
    """Return the listing calls of a minute: those of a refresh for each interval."""
    minutes = setting.number("interval", 1.0)
    return calls_per_refresh(bench, setting) / minutes / 60.0


def sync_cycle(bench: Bench, setting: Setting) -> float:
    """Return the time between syncs: the interval, or what listing at the provider's rate takes.

    The time that decoding a record takes was read out of one user's logs, so it is not used here.
    """
    return record_lag(replace(_provider(setting), record_s=0.0), stated(setting, "records")).cycle_s


def visible_after(bench: Bench, setting: Setting) -> float:
    """Return how late a record is that just missed a sync."""
    return record_lag(_provider(setting), setting.number("records", 300.0)).worst_s


def names_of_a_batch(bench: Bench, setting: Setting) -> float:
    """Return how many published names, of one address each, fill a batch of changes.

    A record that is set rather than made counts twice (Route 53, ``ChangeResourceRecordSets``: "the value of Action is
    UPSERT, each ResourceRecord element is counted twice").
    """
    batch = setting.number("batch", _provider(setting).batch)
    return batch / (2.0 * records_each(bench, setting))


def records_each(bench: Bench, setting: Setting) -> float:
    """Return record sets for a published name: its own, and ownership records in both forms releases wrote."""
    return float(records_per_name(Options(txt_formats=setting.count("txt_formats", 2))))

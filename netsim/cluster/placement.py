"""Which node a pod runs on: the default scheduler in the limits of what the network feels.

A pod whose spec names its node goes there, past the scheduler. Else a node is out when it is not ready, the node
selector or required node affinity does not match, a taint is not tolerated, it has as many pods as it may, or CPU,
memory or a host port is short. Among the rest the pod goes where fewest pods of its workload are, then
where fewest pods are, then to the first in node order. Nodes are kept in a heap per kind of constraint, so 150,000
pods take about a second.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from netsim.cluster.objects import Node, Pod, PodTemplate
from netsim.cluster.scheduling import tolerates
from netsim.errors import InputError

_REPELLING = ("NoSchedule", "NoExecute")
_DAEMON_TOLERATED = (
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/network-unavailable",
)
"""Taints that the DaemonSet controller tolerates for its pods."""


def mismatch(template: PodTemplate, node: Node) -> str:
    """Return why pods of this template cannot be on the node, whatever its load; empty when they can."""
    if template.node_name:  # no scheduler asks for readiness or taints
        return "" if template.node_name == node.name else f"not {template.node_name}, which the pod names"
    daemon = template.owner_kind == "DaemonSet"
    if not node.ready and not daemon:
        return "not ready"
    if not template.node_selector.items() <= node.labels.items():
        return "node selector does not match"
    if template.node_terms and not any(term.matches(node.name, node.labels) for term in template.node_terms):
        return "node affinity does not match"
    for taint in node.taints:
        tolerated = daemon and taint.key in _DAEMON_TOLERATED
        if taint.effect in _REPELLING and not tolerated and not tolerates(template.tolerations, taint):
            return f"taint {taint.key}" + (f"={taint.value}" if taint.value else "")
    return ""


@dataclass(slots=True)
class _Load:
    """What is in use on the nodes, by node index."""

    pods: list[int]
    cpu_millis: list[int]
    memory_bytes: list[int]
    host_ports: dict[int, set[tuple[int, str]]] = field(default_factory=lambda: defaultdict(set))

    def add(self, index: int, template: PodTemplate) -> None:
        self.pods[index] += 1
        self.cpu_millis[index] += template.cpu_millis
        self.memory_bytes[index] += template.memory_bytes
        ports = _host_ports(template)
        if ports:
            self.host_ports[index] |= ports

    def shortage(self, index: int, node: Node, template: PodTemplate, ports: set[tuple[int, str]]) -> str:
        if self.pods[index] >= node.max_pods:
            return "too many pods"
        if node.cpu_millis is not None and self.cpu_millis[index] + template.cpu_millis > node.cpu_millis:
            return "insufficient cpu"
        if node.memory_bytes is not None and self.memory_bytes[index] + template.memory_bytes > node.memory_bytes:
            return "insufficient memory"
        if ports and ports & self.host_ports.get(index, set()):
            return "host port in use"
        return ""


def _host_ports(template: PodTemplate) -> set[tuple[int, str]]:
    return {(port.host_port, port.protocol) for port in template.ports if port.host_port is not None}


class Placer:
    """Places pods on nodes one workload after another.

    Parameters
    ----------
    nodes: the nodes in order.
    placed: pods that already have a node; they count towards its load.
    """

    def __init__(self, nodes: Sequence[Node], placed: Iterable[Pod] = ()) -> None:
        self._nodes = nodes
        self._index = {node.name: index for index, node in enumerate(nodes)}
        count = len(nodes)
        self._load = _Load([0] * count, [0] * count, [0] * count)
        self._heaps: dict[object, list[tuple[int, int]]] = {}
        self._same: dict[tuple[str, str, str], Counter[int]] = defaultdict(Counter)
        for pod in placed:
            index = self._index.get(pod.node)
            if index is not None:
                self._load.add(index, pod.template)
                if pod.template.owner:
                    self._same[_group(pod.template)][index] += 1

    def place(self, template: PodTemplate, names: Sequence[str]) -> list[str]:
        """Return a node name for each of the pods ``names`` of one template.

        Raises
        ------
        InputError
            No node fits; the message names the pod and counts the nodes by reason.
        """
        same = self._same[_group(template)] if template.owner else Counter()
        heap = self._candidates(template)
        ports = _host_ports(template)
        level = min((same[index] for _, index in heap), default=0) if same else 0
        later: list[tuple[int, int]] = []
        unfit: list[tuple[int, int]] = []
        found: list[str] = []
        load, nodes = self._load, self._nodes
        for name in names:
            chosen = -1
            while chosen < 0:
                if not heap:
                    if not later:
                        raise self._refused(template, name, ports)
                    heap, later, level = later, [], level + 1
                    heapq.heapify(heap)
                total, index = heapq.heappop(heap)
                if total != load.pods[index]:
                    heapq.heappush(heap, (load.pods[index], index))
                elif same[index] > level:
                    later.append((total, index))
                elif load.shortage(index, nodes[index], template, ports):
                    if total < nodes[index].max_pods:  # a node with all its pods never takes another one
                        unfit.append((total, index))
                else:
                    chosen = index
            load.add(chosen, template)
            same[chosen] += 1
            later.append((load.pods[chosen], chosen))
            found.append(nodes[chosen].name)
        self._restore(template, heap, later, unfit)
        return found

    def fits(self, template: PodTemplate, node: Node) -> bool:
        """Tell whether one more pod of the template fits on a node."""
        index = self._index[node.name]
        return not (mismatch(template, node) or self._load.shortage(index, node, template, _host_ports(template)))

    def add(self, template: PodTemplate, node: Node) -> None:
        """Count a pod that was put on a node directly."""
        self._load.add(self._index[node.name], template)

    def _candidates(self, template: PodTemplate) -> list[tuple[int, int]]:
        key = _constraint(template)
        if key not in self._heaps:
            heap = [
                (self._load.pods[index], index)
                for index, node in enumerate(self._nodes)
                if not mismatch(template, node)
            ]
            heapq.heapify(heap)
            self._heaps[key] = heap
        return self._heaps[key]

    def _restore(self, template: PodTemplate, heap: list[tuple[int, int]], *others: list[tuple[int, int]]) -> None:
        """Put the nodes set aside for this workload back for the next one."""
        aside = [entry for entries in others for entry in entries]
        if len(aside) > len(heap) // 8:
            heap.extend(aside)
            heapq.heapify(heap)
        else:
            for entry in aside:
                heapq.heappush(heap, entry)
        self._heaps[_constraint(template)] = heap

    def _refused(self, template: PodTemplate, name: str, ports: set[tuple[int, str]]) -> InputError:
        reasons: Counter[str] = Counter()
        for index, node in enumerate(self._nodes):
            reason = mismatch(template, node) or self._load.shortage(index, node, template, ports)
            reasons[reason] += 1
        counted = "; ".join(f"{count} node{'s' * (count != 1)}: {reason}" for reason, count in reasons.items())
        return InputError(
            f"no node fits pod {template.namespace}/{name}: {counted or 'there are no nodes'}", place=template.place
        )


def _group(template: PodTemplate) -> tuple[str, str, str]:
    return template.namespace, template.owner_kind, template.owner


def _constraint(template: PodTemplate) -> object:
    daemon = template.owner_kind == "DaemonSet"
    selector = tuple(sorted(template.node_selector.items()))
    return template.node_name, selector, template.node_terms, template.tolerations, daemon

"""A report lists the edges that stand out, and says what the others have in common."""

import netsim
from netsim.report import Result
from netsim.report.edges import OUTSTANDING, READABLE, edge_rows
from netsim.report.frame import frame_of
from netsim.scenario import build

SERVICES = 30


def ran(services: int, **run: object) -> Result:
    traffic = [
        {"from": "all", "to": f"ns-{(i - 1) % 2 + 1}/service-{i}", "name": f"edge-{i}", "rate": "1/s",
         "work": "500us" if i == 3 else "20us"}
        for i in range(1, services + 1)
    ]  # fmt: skip
    synthetic = {"nodes": 2, "pods_per_node": 2 * services, "services": services, "namespaces": 2,
                 "endpoints_per_service": 1}  # fmt: skip
    return netsim.run(build({
        "name": "edges", "cluster": {"synthetic": synthetic}, "network": {"plugin": "flannel-vxlan"},
        "dns": {"lookups": "none"}, "traffic": traffic,
        "run": {"replications": 3, "clients": 4, "duration": "4 s", "warmup": "0 s", **run},
    }))  # fmt: skip


def test_few_edges_are_all_listed() -> None:
    result = ran(3)
    _, rows = edge_rows(result, frame_of(result))
    assert [row[1] for row in rows] == ["edge-1", "edge-2", "edge-3"]
    assert all(row[3].split()[1] in ("us", "ms") for row in rows)


def test_of_many_edges_the_slow_one_stands_out_and_none_is_lost() -> None:
    result = ran(SERVICES)
    columns, rows = edge_rows(result, frame_of(result))
    named, rest = rows[:-1], rows[-1]
    assert SERVICES > READABLE and len(named) <= 3 * OUTSTANDING
    slow = [row[1] for row in named if "slow" in row[2]]
    assert slow[0] == "edge-3"
    assert rest[1] == f"{SERVICES - len(named)} others"
    assert len(columns) == len(rest)


def test_one_edge_is_the_scenario_itself() -> None:
    result = ran(1)
    assert edge_rows(result, frame_of(result))[1] == []

"""New connections wake cores that have slept long, where idle states are in use and a hash picks the core."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published import load_case, validate_case
from netsim.calibration.published.hardware import described
from netsim.calibration.published.waking import still_asleep

HEADER = "id,metric,configuration,value,unit,role\n"
NATIVE = "cni=calico;encapsulation=none;path=pod-pod-cross-node"
TUNED = ", C-states off"
DEEP_US = 92
"""What the cost profile has for one wake."""


def connection_us(folder: Path, hosts: str, row: str = NATIVE, *baselines: str) -> float:
    """Return the predicted time of a connection."""
    lines = "".join(f"b{number},{line},us,baseline\n" for number, line in enumerate(baselines))
    (folder / "published.csv").write_text(f"{HEADER}{lines}t,tcp_crr_latency,{row},100,us,target\n", encoding="utf-8")
    (folder / "case.yaml").write_text(f"hardware: {{description: '{hosts}'}}\n", encoding="utf-8")
    result = validate_case(load_case(str(folder)), draws=0)
    return next(point.predicted for point in (*result.points, *result.trivial) if point.id == "t")


def added_us(folder: Path, hosts: str, row: str = NATIVE) -> float:
    """Return what it takes longer where nobody says that cores do not sleep."""
    return connection_us(folder, hosts, row) - connection_us(folder, hosts + TUNED, row)


def test_a_core_has_slept_where_connections_are_few_for_so_many() -> None:
    assert still_asleep(1, 3) == 0
    assert still_asleep(4, 3) == pytest.approx(0.75**3)
    assert still_asleep(64, 3) > 0.95
    assert still_asleep(64, 300) < 0.01


def test_both_sides_wake_one_core_more_than_a_kept_connection_does(tmp_path: Path) -> None:
    found = added_us(tmp_path, "two servers, 3.0 GHz, 48 threads")
    # four passes wait 2 x 5 us longer besides, as those of round trips do
    assert 2 * 0.9 * DEEP_US < found - 4 * 2 * 5 < 2 * DEEP_US


def test_a_card_that_sends_answers_to_the_sending_core_leaves_the_servers_alone(tmp_path: Path) -> None:
    hashed, following = (
        added_us(tmp_path, f"two servers, 3.0 GHz, 48 threads, {card}") for card in ("Intel E810", "82599")
    )
    assert 0.85 * DEEP_US < hashed - following < 1.1 * DEEP_US


@pytest.mark.parametrize("row", [
    f"{NATIVE};streams=480", "cni=calico;encapsulation=none;path=pod-pod-same-node",
    "cni=calico;encapsulation=ipip;path=pod-pod-cross-node",
])  # fmt: skip
def test_cores_that_work_all_the_time_are_awake(tmp_path: Path, row: str) -> None:
    hosts = "two servers, 3.0 GHz, 48 threads, Intel E810"
    wakes = added_us(tmp_path, hosts, row) - added_us(tmp_path, f"{hosts}, 82599", row)
    assert abs(wakes) < 0.1 * DEEP_US


def test_cards_that_hash_inside_a_tunnel_without_ports_spread_its_connections(tmp_path: Path) -> None:
    row = "cni=calico;encapsulation=ipip;path=pod-pod-cross-node"
    spread, one = (
        added_us(tmp_path, f"two servers, 3.0 GHz, 48 threads, {card}", row) for card in ("ConnectX-5", "Intel E810")
    )
    assert 2 * 0.85 * DEEP_US < spread - one < 2 * DEEP_US
    assert described("ConnectX-5, kernel 5.4").hashes_inside
    assert not described("ConnectX-5, kernel 5.3").hashes_inside


def test_guests_and_hosts_whose_round_trips_are_quick_have_no_idle_states_to_leave(tmp_path: Path) -> None:
    hosts, bare = "two servers, 3.0 GHz, 48 threads", "cni=none;path=host-host"
    quick, slow = (connection_us(tmp_path, hosts, NATIVE, f"tcp_rr_latency,{bare},{us}") for us in (22, 80))
    assert quick < 110
    assert slow > 2 * 80 + 2 * 0.85 * DEEP_US
    assert abs(added_us(tmp_path, "KVM guests, 3.0 GHz, 48 threads")) < 1


def test_a_bare_connection_holds_the_wakes_already(tmp_path: Path) -> None:
    hosts, bare = "two servers, 3.0 GHz, 48 threads", "cni=none;path=host-host"
    rows = (f"tcp_rr_latency,{bare},80", f"tcp_crr_latency,{bare},400")
    assert connection_us(tmp_path, hosts, NATIVE, *rows) - 400 < DEEP_US

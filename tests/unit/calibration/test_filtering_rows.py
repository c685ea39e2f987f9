"""Lists of rules in published rows: how they are read, what a walk costs, and what a server accepts behind one."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published.case import load_case
from netsim.calibration.published.filtering import ruleset_of
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.validation import CaseResult, validate_case
from netsim.datapath.rule_list import Ruleset
from netsim.errors import InputError


def run(tmp_path: Path, rows: str) -> CaseResult:
    (tmp_path / "published.csv").write_text("id,metric,configuration,value,unit,role\n" + rows, encoding="utf-8")
    return validate_case(load_case(str(tmp_path)), draws=0)


def predicted(tmp_path: Path, rows: str) -> dict[str, float]:
    return {point.id: point.predicted for point in run(tmp_path, rows).points}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("rules=15000", Ruleset(15000)), ("rules=10;match=multiport;ports=15", Ruleset(10, "multiport", 15)),
        ("ruleset=4500 single-port tcp rules", Ruleset(4500, "port")),
        ("ruleset=300 multiport rules = 4500 ports", Ruleset(300, "multiport", 15)),
        ("ruleset=1 rule with ipset of 4500 ports", Ruleset(1, "ipset", 4500)),
    ],
)  # fmt: skip
def test_lists_are_read(text: str, meant: Ruleset) -> None:
    assert ruleset_of(Setting.read(text)) == meant


@pytest.mark.parametrize("text", ["chain=INPUT", "ruleset=many", "rules=4;match=smell"])
def test_lists_that_say_too_little_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        ruleset_of(Setting.read(text))


def test_a_walk_is_linear_and_its_probe_is_the_baselines(tmp_path: Path) -> None:
    rows = "b,ipt_do_table_cycles,ruleset=1 rule with ipset,30000,cycles,baseline\n" + "".join(
        f"{name},ipt_do_table_cycles,ruleset={text},1,cycles,target\n"
        for name, text in (
            ("one", "1000 port rules"), ("two", "2000 port rules"), ("lists", "100 multiport rules = 1000 ports"),
            ("set", "1 rule with ipset of 1000 ports"),
        )
    )  # fmt: skip
    found = predicted(tmp_path, rows)
    assert found["set"] == pytest.approx(30000)
    assert (found["two"] - 30000) / (found["one"] - 30000) == pytest.approx(2.0, rel=0.02)
    assert found["set"] < found["lists"] < found["one"]


def test_a_server_accepts_fewer_behind_a_longer_list(tmp_path: Path) -> None:
    rows = (
        "b,connections_accepted_in_30s,rules=0;chain=INPUT,200000,connections,baseline\n"
        "few,connections_accepted_in_30s,rules=1000;chain=INPUT,1,connections,target\n"
        "many,connections_accepted_in_30s,rules=15000;chain=INPUT,1,connections,target\n"
    )
    found = predicted(tmp_path, rows)
    added = {name: 30 / count - 30 / 200000 for name, count in found.items()}
    assert added["few"] > 0
    assert added["many"] == pytest.approx(15 * added["few"], rel=0.02)


def test_a_filter_with_more_rules_drops_fewer_and_a_set_does_not(tmp_path: Path) -> None:
    rows = (
        "b,drop_rate,filter=iptables,5,Mpps,baseline\n"
        "same,drop_rate,filter=iptables;rules=1,1,Mpps,target\n"
        "hundred,drop_rate,filter=iptables;rules=100,1,Mpps,target\n"
        "set,drop_rate,filter=iptables;rules=1;match=ipset,1,Mpps,target\n"
    )
    found = predicted(tmp_path, rows)
    assert found["same"] == pytest.approx(5.0)
    assert found["hundred"] < found["set"] < found["same"]


def test_packets_of_connections_walk_a_list_and_look_once_into_a_set(tmp_path: Path) -> None:
    def rows(words: str) -> str:
        return "".join(
            f"{name},tcp_rr_rate,cni=none;path=host-host;{words};{how},1,transactions/s,target\n"
            for name, how in (("none", "filter=none;rules=9"), ("few", "filter=iptables;rules=100"),
                              ("many", "filter=iptables;rules=5000"), ("set", "filter=ipset;rules=5000"),
                              ("program", "filter=tc-bpf;rules=5000"))
        )  # fmt: skip

    found = predicted(tmp_path, rows("chain=INPUT"))
    assert found["many"] < found["few"] < found["set"] < found["none"]
    assert found["many"] < found["few"] < found["program"] < found["none"]
    egress = predicted(tmp_path, rows("direction=egress"))
    assert egress["many"] == pytest.approx(found["many"], rel=0.02)
    both = predicted(tmp_path, rows("chain=FORWARD"))
    assert both["many"] < 0.7 * found["many"]


def test_a_longer_list_slows_streams_and_datagrams(tmp_path: Path) -> None:
    rows = "".join(
        f"{name}{rules},{name}_throughput,cni=none;path=host-host;filter=iptables;rules={rules};direction=egress,1,Gbit/s,\n"
        for name in ("tcp", "udp") for rules in (1, 2000, 20000)
    )  # fmt: skip
    found = predicted(tmp_path, rows)
    assert found["udp2000"] < found["udp1"] / 3  # each datagram walks all
    assert found["tcp2000"] > found["tcp1"] / 3  # a buffer of many segments walks once
    assert found["tcp20000"] < found["tcp2000"] / 3


def test_a_filter_forwards_less_than_it_drops(tmp_path: Path) -> None:
    found = predicted(
        tmp_path,
        "drop,drop_rate,filter=iptables;rules=100;cores=1,1,Mpps,target\n"
        "through,forwarding_rate,filter=iptables;rules=100;cores=1,1,Mpps,target\n"
        "cores,forwarding_rate,filter=iptables;rules=100;cores=4,1,Mpps,target\n"
        "program,packet_rate,filter=tc-bpf;rules=100;chain=FORWARD;cores=1,1,Mpps,target\n",
    )
    assert found["through"] < found["drop"]
    assert found["cores"] == pytest.approx(4 * found["through"])
    assert found["program"] > found["through"]


def test_entries_of_a_connection_table_are_no_list_of_rules(tmp_path: Path) -> None:
    rows = (
        "table,connection_rate,entries=120000;lifetime=120,1000,conn/s,baseline\n"
        "asked,connection_rate,entries=240000;lifetime=120,1,conn/s,target\n"
        "empty,tcp_rr_rate,cni=none;path=host-host;filter=ipset;entries=0,1,transactions/s,target\n"
        "bare,tcp_rr_rate,cni=none;path=host-host,1,transactions/s,target\n"
        "set,tcp_rr_rate,cni=none;path=host-host;filter=ipset;entries=9,1,transactions/s,target\n"
    )
    found = predicted(tmp_path, rows)
    assert found["asked"] == pytest.approx(2000)
    assert found["set"] < found["empty"] == found["bare"]

"""Namespaces, topologies and probes for real where the tests run as root, and by a recording host everywhere."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netsim.calibration.kernel import namespaces
from netsim.calibration.kernel.build import _stations, build, lay
from netsim.calibration.kernel.derive import derive
from netsim.calibration.kernel.measure import measure
from netsim.calibration.kernel.namespaces import CommandError, Sandbox
from netsim.calibration.kernel.plan import PLANS, calibration
from netsim.calibration.kernel.probes import PROBES, Probe
from netsim.calibration.kernel.tables import load_policy, load_services, restore_tool
from netsim.calibration.kernel.timing import Effort
from netsim.calibration.kernel.topologies import NODE, NODE_RIGHT, ROUTER, SWITCH, Box, Kind, Policy, Services, Topology
from netsim.errors import InputError


def _namespaces_allowed():
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    try:
        with Sandbox() as host:
            host.run(host.namespace(), ["ip", "link", "add", "one", "type", "veth", "peer", "name", "two"])
    except (InputError, CommandError, OSError):
        return False
    return True


real = pytest.mark.skipif(not _namespaces_allowed(), reason="needs root on Linux, network namespaces, ip and veth")


class RecordingHost:
    """A host that writes down what it is told to do."""

    def __init__(self, missing=()):
        self.commands, self.settings, self._missing = [], [], missing

    def namespace(self):
        return 0

    def reference(self, handle):
        return f"ns{handle}"

    def run(self, handle, command, text=""):
        if command[0] in self._missing:
            raise CommandError(f"{command[0]} is not installed")
        self.commands.append((handle, " ".join(command), text))
        return "iptables v1.8.9 (nf_tables)" if command[-1] == "--version" else ""

    def setting(self, handle, name, value):
        self.settings.append((handle, name, value))


# ---------------------------------------------------------------------- what is told to a host
def test_two_nodes_and_a_tunnel_become_addresses_routes_and_forwarding_entries():
    topology, host, handles = Topology((NODE, NODE_RIGHT), frozenset({1})), RecordingHost(), [0, 1, 2, 3]
    lay(host, topology, handles, _stations(topology, handles))
    told = dict.fromkeys(handles, "")
    for handle, command, text in host.commands:
        told[handle] += f"{command}\n{text}\n"
    assert "addr add 10.50.0.2/24 dev cbr0" in told[1]
    assert "type vxlan id 101" in told[1] and "local 172.16.1.1" in told[1]
    assert "fdb append 02:00:00:00:01:02 dev vx-right dst 172.16.1.2" in told[1]
    assert "route add 10.50.2.0/24 via 10.50.1.2" in told[1]
    assert "route add default via 10.50.2.1" in told[3]
    assert "mtu 1450" in told[0]
    assert (1, "ipv4/ip_forward", 1) in host.settings and (0, "ipv4/ip_forward", 1) not in host.settings


def test_a_service_list_ends_with_the_measured_service():
    host = RecordingHost()
    load_services(host, 5, Services("iptables-legacy", 3), "10.50.1.2")
    _, command, text = host.commands[-1]
    assert command == "iptables-legacy-restore"
    listed = [line for line in text.splitlines() if line.startswith("-A KUBE-SERVICES")]
    assert len(listed) == 3 + 3
    assert "10.96.0.1/32" in listed[0] and "10.97.0.1/32" in listed[-1]
    assert text.count("-j DNAT --to-destination 10.50.1.2:") == 3


def test_an_ipset_is_made_once_and_asked_by_every_rule():
    host = RecordingHost()
    load_policy(host, 1, Policy("iptables-nft", 4, "ipset", stateful=True, members=3))
    texts = [text for _, _, text in host.commands]
    assert sum(text.count("add elsewhere") for text in texts) == 3
    assert texts[-1].count("--match-set elsewhere src") == 4
    assert texts[-1].index("ctstate") < texts[-1].index("match-set")


def test_the_default_iptables_stands_in_for_the_back_end_it_is():
    host = RecordingHost(missing=("iptables-nft", "iptables-legacy"))
    assert restore_tool(host, 0, "iptables-nft") == "iptables-restore"
    with pytest.raises(CommandError, match="iptables-legacy is not installed"):
        restore_tool(host, 0, "iptables-legacy")


def test_without_root_the_refusal_is_one_sentence(monkeypatch):
    monkeypatch.setattr(namespaces.os, "geteuid", lambda: 1000)
    with pytest.raises(InputError, match="needs root"):
        Sandbox()


def test_on_another_system_the_refusal_names_it(monkeypatch):
    monkeypatch.setattr(namespaces.sys, "platform", "darwin")
    with pytest.raises(InputError, match=r"on Linux; got 'darwin'"):
        Sandbox()


# ---------------------------------------------------------------------- for real
def links():
    return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout


def named():
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout


def network_namespaces():
    """Numbers of all network namespaces that a process lives in or holds open."""
    places = [
        place for process in Path("/proc").glob("[0-9]*") for place in (process / "ns/net", *_open_files(process))
    ]
    return {number for number in map(_number, places) if number}


def held_by(process):
    """Numbers of the network namespaces that a process holds open."""
    return {number for number in map(_number, _open_files(Path("/proc", str(process)))) if number}


def _number(place):
    """Return the number of the network namespace behind a file, or ``None`` for other files and vanished ones."""
    try:
        target = str(place.readlink())
    except OSError:
        return None
    return target if target.startswith("net:") else None


def _open_files(process):
    try:
        return list((process / "fd").iterdir())
    except OSError:
        return []


@real
def test_nothing_is_left_behind_and_the_host_is_never_touched():
    before, home = (links(), named()), held_by(os.getpid())
    with Sandbox() as host:
        probe = Probe(host, build(host, Topology((NODE, ROUTER, NODE_RIGHT))))
        made = held_by(os.getpid()) - {_number(Path("/proc/self/ns/net"))}
        assert (links(), named()) == before
        assert len(made) == 5
        probe.close()
    assert (links(), named(), held_by(os.getpid())) == (*before, home)
    assert not made & network_namespaces()


@real
def test_a_failure_lets_go_of_what_was_begun():
    before = held_by(os.getpid())
    with Sandbox() as host:
        with pytest.raises(CommandError, match=r"no-such-tool|not installed"):
            host.run(host.namespace(), ["no-such-tool"])
        with pytest.raises(CommandError):
            host.setting(host.namespace(), "no/such/setting", 1)
    assert held_by(os.getpid()) == before


# a process that a shell without job control put into the background inherits that it ignores Ctrl-C
SCRIPT = """
import signal
import time
from netsim.calibration.kernel.build import build
from netsim.calibration.kernel.namespaces import Sandbox
from netsim.calibration.kernel.probes import Probe
from netsim.calibration.kernel.timing import Effort
from netsim.calibration.kernel.topologies import NODE, NODE_RIGHT, Topology
signal.signal(signal.SIGINT, signal.default_int_handler)
with Sandbox() as host:
    probe = Probe(host, build(host, Topology((NODE, NODE_RIGHT))))
    print("standing", flush=True)
    time.sleep(60)
"""


@real
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_the_process_ends_its_namespaces_end_with_it(how):
    before = links(), named()
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert child.stdout is not None and child.stdout.readline() == "standing\n"
    made = held_by(child.pid) - {_number(Path("/proc/self/ns/net"))}
    assert len(made) == 4
    child.send_signal(how)
    child.wait(10)
    child.stdout.close()
    deadline = time.monotonic() + 5
    while made & network_namespaces() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not made & network_namespaces()
    assert (links(), named()) == before


@real
@pytest.mark.parametrize(
    "topology",
    [
        Topology(),
        Topology((ROUTER, SWITCH, ROUTER)),
        Topology((NODE, NODE_RIGHT), frozenset({1})),
        Topology((Box(Kind.NODE, Services("iptables-legacy", 20)), NODE_RIGHT), frozenset({1})),
        Topology((Box(Kind.NODE, Services("iptables-nft", 20)), NODE_RIGHT)),
        Topology((Box(Kind.ROUTER, Services("nftables", 20), Policy("nftables", 3, "map", members=5)),)),
        Topology((Box(Kind.ROUTER, policy=Policy("iptables-legacy", 3, "ipset", stateful=True, members=5)),)),
    ],
    ids=str,
)
def test_every_probe_crosses_every_kind_of_path(topology):
    with Sandbox() as host:
        try:
            built = build(host, topology)
        except CommandError as error:
            pytest.skip(f"this machine lacks something: {error}")
        probe = Probe(host, built)
        probe.refresh()
        times = {name: probe.run[name](40) for name in PROBES}
        assert probe.packets("udp_rr") == (1, 1)
        sent, answered = probe.packets("tcp_crr")
        assert 8 <= sent + answered <= 12
        probe.close()
    assert times["udp_rr"] < times["tcp_crr"]
    assert all(nanoseconds > 500 for nanoseconds in times.values())


@real
@pytest.mark.slow
def test_a_short_calibration_prices_the_parts_of_this_kernel():
    plan = PLANS["quick"]
    effort = Effort(seconds=5, fewest=2, most=2, chunks=3, chunk_ns=400_000)
    with Sandbox() as host:
        measurement = measure(host, calibration(plan)[:16], effort, seed=1)
    learnt = derive(measurement)
    for key in ("veth.packet", "route.packet"):
        assert 50 < learnt.prices[key].value < 5000, key
    for one in measurement.skipped:
        assert one.reason
    longer = learnt.predict(Topology((ROUTER, ROUTER)), "udp_rr")
    assert longer > learnt.predict(Topology(), "udp_rr") > 1000

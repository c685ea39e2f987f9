"""Packets without data: which work they bring, whom they wake, and where sockets are made and closed."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from small_cluster import small_cluster

from netsim.datapath.costs import Prices, load_profile
from netsim.datapath.datapath import Datapath
from netsim.datapath.socket import SocketReceive, SocketSend, StackReceive
from netsim.datapath.types import Bill, Packet, Role, Route, Turn

SYN, SYN_ACK = Packet(True, False), Packet(True, True)


@pytest.fixture(scope="module")
def hot() -> Prices:
    return load_profile("server").prices(regime="hot_loop")


@pytest.fixture(scope="module")
def datapath() -> Datapath:
    return Datapath(small_cluster(), "kubenet")


def ends_ns(packet: Packet, prices: Prices) -> float:
    """Return what both ends do for a packet."""
    return math.fsum(hop.bill(packet, prices).packet_ns for hop in (SocketSend(), StackReceive(), SocketReceive()))


def test_a_connection_of_sockets_alone_takes_what_was_measured(hot: Prices) -> None:
    # experiments/connection-cost over its factor: 76.4 us, less ten crossings of veth and the switches of two programs
    turns = [Packet(False, reply, turn=turn) for reply, turn in (
        (False, "accept"), (False, "close"), (True, "close"), (False, "bare"), (True, "bare"), (False, "bare"),
    )]  # fmt: skip
    messages = [Packet(False, False), Packet(False, True)]
    found = math.fsum(ends_ns(packet, hot) for packet in (SYN, SYN_ACK, *turns, *messages)) + 10 * hot["veth.packet"]
    assert found == pytest.approx(76_400 / 1.41, rel=0.12)


@pytest.mark.parametrize("turn", ["close", "bare"])
@pytest.mark.parametrize("reply", [False, True])
def test_programs_do_not_read_what_stacks_send(hot: Prices, turn: Turn, reply: bool) -> None:
    packet = Packet(False, reply, turn=turn)
    assert SocketReceive(pod=True).bill(packet, hot) == Bill()
    assert SocketSend().bill(packet, hot).packet_ns < SocketSend().bill(Packet(False, reply), hot).packet_ns + (
        hot["socket.close"] if turn == "close" else 0.0
    )


def test_the_syn_wakes_nobody_its_answer_the_client_the_third_packet_the_server(hot: Prices) -> None:
    assert SocketReceive().bill(SYN, hot) == Bill()
    for packet in (SYN_ACK, Packet(False, False, turn="accept")):
        assert SocketReceive().bill(packet, hot).setup_ns == hot["wakeup.latency"]


def test_each_end_is_made_and_closed_once(hot: Prices) -> None:
    bare = SocketSend().bill(Packet(False, False, turn="bare"), hot).packet_ns
    assert SocketSend().bill(SYN, hot).packet_ns == bare + hot["socket.open.tcp"]
    assert SocketReceive().bill(Packet(False, False, turn="accept"), hot).packet_ns == hot["socket.open.tcp"]
    assert SocketSend().bill(SYN_ACK, hot).packet_ns == bare
    for reply in (False, True):
        assert SocketSend().bill(Packet(False, reply, turn="close"), hot).packet_ns == bare + hot["socket.close"]


def test_a_datagram_opens_its_client_s_socket_alone(hot: Prices) -> None:
    first, later = Packet(True, False, "UDP"), Packet(False, False, "UDP")
    opened = SocketSend().bill(first, hot).packet_ns - SocketSend().bill(later, hot).packet_ns
    assert opened == pytest.approx(hot["socket.open.udp"])
    assert SocketReceive().bill(first, hot) == SocketReceive().bill(later, hot)


def test_packets_between_joined_sockets_come_when_the_connection_is_made_and_ends(hot: Prices) -> None:
    stack, send = StackReceive(joined=True), SocketSend(joined=True)
    bare = Packet(False, False, turn="bare")
    assert stack.bill(bare, hot) == send.bill(bare, hot) == Bill()
    for turn in ("accept", "close"):
        assert stack.bill(Packet(False, False, turn=turn), hot).packet_ns == hot["stack.receive.tcp"]


def test_they_go_the_way_of_all_later_packets(datapath: Datapath) -> None:
    routes = datapath.routes(0, 4)
    for later, turns in zip((routes.forward, routes.reply), routes.turns, strict=True):
        assert set(turns) == set(get_args(Turn)) - {"message"} - (set() if later is routes.forward else {"accept"})
        for route in turns.values():
            assert [each.role for each in route.passes] == [each.role for each in later.passes]
            assert _between(route) == _between(later)


def _between(route: Route) -> list[tuple[str, Bill]]:
    """Return the hops between the two sockets."""
    return [
        (name, bill) for name, index, bill in route.hops
        if route.passes[index].role is not Role.RECEIVER_CORE and name != "socket.send"
    ]  # fmt: skip


def test_datagrams_have_none(datapath: Datapath) -> None:
    assert datapath.routes(0, 4, protocol="UDP").turns == ({}, {})

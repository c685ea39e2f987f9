"""Where a card's work goes: steered to the program's core, hashed to any, or to another NUMA node."""

from __future__ import annotations

import pytest

from netsim.cluster.objects import Interrupts, Machine
from netsim.datapath.costs import Prices, load_profile
from netsim.datapath.encapsulation import Decapsulate
from netsim.datapath.nic import Receive, receive
from netsim.datapath.placement import LINES_OF_A_BUFFER, LINES_OF_A_SEGMENT, placement
from netsim.datapath.socket import Acknowledge, SocketReceive, SocketSend, StackReceive
from netsim.datapath.types import Packet

DATA = Packet(first=False, reply=False)
SYN = Packet(first=True, reply=False)
ORDER: tuple[Interrupts, ...] = ("steered", "hashed", "remote")


@pytest.fixture
def prices() -> Prices:
    return load_profile("server").prices()


def test_one_core_is_always_the_programs() -> None:
    assert placement(Machine(cores=1)) == "steered"
    assert placement(Machine(cores=2)) == "hashed"
    assert placement(Machine(cores=2, interrupts="remote")) == "remote"


def test_the_card_of_a_machine_says_where_its_driver_works() -> None:
    drivers = [hop for hop in receive(Machine(interrupts="remote"), False) if isinstance(hop, Receive)]
    assert drivers == [Receive("remote")]


def test_farther_cores_pay_more_lines(prices: Prices) -> None:
    farther = prices["cache.line_remote"] - prices["cache.line"]
    near, far = Receive("hashed").bill(DATA, prices), Receive("remote").bill(DATA, prices)
    assert far.segment_ns - near.segment_ns == pytest.approx(LINES_OF_A_SEGMENT * farther)
    stacks = [StackReceive(where).bill(DATA, prices.in_loop).packet_ns for where in ORDER]
    assert stacks[1] - stacks[0] == pytest.approx(LINES_OF_A_BUFFER * prices["cache.line"])
    assert stacks[2] - stacks[1] == pytest.approx(LINES_OF_A_BUFFER * farther)
    senders = [SocketSend(aggregates=False, freed=where).bill(DATA, prices).segment_ns for where in ORDER]
    assert senders == sorted(senders)
    assert senders[0] == prices["socket.send.segment"]


def test_single_packets_of_hashed_flows_cost_what_they_did(prices: Prices) -> None:
    assert StackReceive().bill(DATA, prices).packet_ns == prices["stack.receive.tcp"]
    assert SocketSend().bill(DATA, prices).packet_ns == prices["socket.send.tcp"]


def test_data_in_the_own_cache_are_copied_faster(prices: Prices) -> None:
    copies = [SocketReceive(where).bill(DATA, prices).byte_ns for where in ORDER]
    assert copies[0] == prices["socket.send.byte"] < copies[1] == copies[2] == prices["socket.receive.byte"]


def test_joined_sockets_skip_the_protocols_once_the_connection_stands(prices: Prices) -> None:
    for joined, plain in (
        (SocketSend(joined=True), SocketSend()),
        (StackReceive(joined=True), StackReceive()),
        (SocketReceive(joined=True), SocketReceive()),
    ):
        assert joined.bill(SYN, prices) == plain.bill(SYN, prices)
        assert joined.bill(DATA, prices).packet_ns < plain.bill(DATA, prices).packet_ns
        assert joined.bill(DATA, prices).byte_ns == plain.bill(DATA, prices).byte_ns


def test_outer_headers_that_are_kept_cost_a_packet_each(prices: Prices) -> None:
    kept, plain = Decapsulate(50, metadata=True).bill(DATA, prices), Decapsulate(50).bill(DATA, prices)
    assert kept.packet_ns - plain.packet_ns == pytest.approx(prices["decap.metadata"])


def test_acknowledgements_cost_less_than_a_program_that_sends(prices: Prices) -> None:
    assert Acknowledge().bill(DATA, prices).packet_ns < SocketSend().bill(DATA, prices).packet_ns



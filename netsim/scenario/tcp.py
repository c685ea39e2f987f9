"""The TCP stacks of pods and nodes: what their sysctls say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from netsim.scenario.base import Spec
from netsim.scenario.quantities import Bytes, Seconds


class TcpSpec(Spec):
    """Settings of every TCP stack; defaults are Linux's."""

    congestion: Literal["cubic", "reno"] = Field("cubic", description="net.ipv4.tcp_congestion_control")
    initial_window: int = Field(10, ge=1, le=1000, description="segments sent before the first acknowledgement")
    receive_window: Bytes = Field(
        3 * 1024 * 1024, ge=65_536,
        description="most bytes of a connection under way: half of the largest net.ipv4.tcp_rmem",
    )  # fmt: skip
    send_buffer: Bytes = Field(
        4 * 1024 * 1024, ge=4096, description="most memory of written data that is not acknowledged: largest tcp_wmem"
    )
    small_queue: Bytes = Field(
        1024 * 1024, ge=4096,
        description="most bytes of a connection in its node's queues: tcp_limit_output_bytes (4 MiB from Linux 6.16); "
        "held where buffers stay their socket's: processes of the node, eBPF host routing, Open vSwitch",
    )  # fmt: skip
    rto_min: Seconds = Field(0.2, gt=0, description="least retransmission timeout")
    syn_retries: int = Field(6, ge=0, le=127, description="net.ipv4.tcp_syn_retries")

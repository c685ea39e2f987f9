"""What a rule of iptables' chains costs on hosts of which a publication states kernel and processor."""

from __future__ import annotations

import re
from dataclasses import replace

from netsim.calibration.published.hardware import Hardware
from netsim.datapath.costs import Prices


def with_chains_of(hardware: Hardware, prices: Prices) -> Prices:
    """Return the prices with that of a rule by the back-end of the kernel's time and by the processor's calls."""
    values = prices.values
    rule, port = values[back_end(hardware)], values["rule.port_match"]
    call = values["call.retpoline"] - values["call.direct"]
    rule += CALLS_OF_A_RULE * call if trampolines(hardware) else 0.0
    port += call if trampolines(hardware) or of_2018(hardware) else 0.0
    changed = {"rule.chain": rule, "rule.port_match": port}
    return prices if changed.items() <= values.items() else replace(prices, values={**values, **changed})


def back_end(hardware: Hardware) -> str:
    """Return the figure of a rule in the kernel's time, one of both back-ends where either may be meant.

    Debian 10 and RHEL 8 (Linux 4.18, 4.19) and Ubuntu 20.10 (5.8) were the first to install iptables-nft.
    """
    version = hardware.kernel_version
    if version is None or version in EITHER:
        return "rule.chain"
    return "rule.chain_nft" if version > max(EITHER) else "rule.chain_legacy"


def trampolines(hardware: Hardware) -> bool:
    """Tell whether the processor that is named makes indirect calls through return trampolines.

    Intel's do before Cascade Lake (2019), which has mitigations in hardware (Linux
    Documentation/admin-guide/hw-vuln/spectre.rst, "Enhanced IBRS"); kernels before 5.0 have a profile of their own.
    """
    return hardware.profile == "server" and _BEFORE_CASCADE_LAKE.search(hardware.description) is not None


def of_2018(hardware: Hardware) -> bool:
    """Tell whether virtual machines' kernels are of the time when no processor did without trampolines.

    Physical hosts with such kernels have a profile that has them in all its prices.
    """
    version = hardware.kernel_version
    return hardware.virtual and version is not None and FIRST_TRAMPOLINES <= version < (5, 0)


FIRST_TRAMPOLINES = (4, 15)
CALLS_OF_A_RULE = 3
"""Indirect calls of a rule: its matches, the comment among them, its target, and under nft their wrappers."""
EITHER = ((4, 18), (4, 19), (5, 8), (5, 9), (5, 10))
"""Kernels of distributions with iptables-nft, and of others of their time with iptables-legacy; later ones have nft,
the others, Ubuntu 20.04's 5.4 among them, legacy."""
_BEFORE_CASCADE_LAKE = re.compile(
    r"\bE[357][- ]\d{4}|\b(?:Gold|Silver|Bronze|Platinum) \d1\d\d\b|\bi[357]-[2-8]\d{3}|"
    r"Skylake|Broadwell|Haswell|Ivy Bridge"
)

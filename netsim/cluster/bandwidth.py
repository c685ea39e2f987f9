"""Bandwidth limits of pods: the two annotations, read as the kubelet and the container runtimes read them.

Source: kubernetes ``pkg/util/bandwidth/utils.go`` (ExtractPodBandwidthResources), apimachinery
``pkg/api/resource/quantity.go``. Which part of a node enforces the rates is the network plugin's to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil

from netsim.errors import InputError, Place

INGRESS, EGRESS = "kubernetes.io/ingress-bandwidth", "kubernetes.io/egress-bandwidth"
LOWEST_BPS, HIGHEST_BPS = 10**3, 10**15

_SUFFIXES: Mapping[str, Fraction] = {
    **{
        suffix: Fraction(10) ** power
        for suffix, power in zip(["n", "u", "m", "", "k", "M", "G", "T", "P", "E"], range(-9, 21, 3), strict=True)
    },
    **{f"{prefix}i": Fraction(2) ** (10 * power) for power, prefix in enumerate("KMGTPE", 1)},
}
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([eE][+-]?[0-9]{1,3})|(n|u|m|k|M|G|T|P|E|[KMGTPE]i)?)")


def quantity(text: str) -> int:
    """Read a Kubernetes quantity and round it up to a whole number, as ``Quantity.Value`` does.

    Source: kubernetes apimachinery ``pkg/api/resource/quantity.go``. Raises `InputError` for anything else.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise InputError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            got=text, allowed="a number with an optional suffix, for example 10M",
        )  # fmt: skip
    number, exponent, suffix = match.groups()
    if exponent:
        return ceil(Fraction(Decimal(number)) * Fraction(10) ** int(exponent[1:]))
    return ceil(Fraction(Decimal(number)) * _SUFFIXES[suffix or ""])


def pod_bandwidth(annotations: Mapping[str, str], field: str = "metadata.annotations") -> tuple[int | None, int | None]:
    """Return the rates (ingress, egress) that a pod's bandwidth annotations ask for, in bits per second.

    Parameters
    ----------
    annotations: of the pod.
    field: where they stand, for the message.

    Raises
    ------
    InputError: not a quantity, or outside 1k to 1P bit/s (``validateBandwidthIsReasonable``).
    """

    def rate_of(key: str) -> int | None:
        text = annotations.get(key)
        if text is None:
            return None
        place = Place(field=f"{field}[{key}]")
        try:
            rate = quantity(text)
        except InputError as error:
            raise error.at(place) from None
        if rate < LOWEST_BPS:
            raise InputError("resource is unreasonably small (< 1kbit)", place=place, got=text)
        if rate > HIGHEST_BPS:
            raise InputError("resource is unreasonably large (> 1Pbit)", place=place, got=text)
        return rate

    return rate_of(INGRESS), rate_of(EGRESS)

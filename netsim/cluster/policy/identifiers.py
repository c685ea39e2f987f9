"""What the API server takes for a name, a label and a port (kubernetes ``apimachinery/pkg/util/validation``)."""

from __future__ import annotations

import re

_LABEL_WORD = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(rf"{_DNS_LABEL.pattern}(\.{_DNS_LABEL.pattern})*")
_PORT_NAME = re.compile(r"[-a-z0-9]{1,15}")

_WORD_RULE = "at most 63 letters, digits, '-', '_' or '.', a letter or digit at both ends"
LABEL_KEY_RULE = f"[DNS subdomain/]name; the name is {_WORD_RULE}"
LABEL_VALUE_RULE = f"empty, or {_WORD_RULE}"
PORT_NAME_RULE = "1 to 15 lower case letters, digits and inner single '-', a letter among them"
PORT_RULE = "1 to 65535"


def is_dns_label(text: str) -> bool:
    """RFC 1123 label: a namespace's name."""
    return len(text) <= 63 and _DNS_LABEL.fullmatch(text) is not None


def is_dns_subdomain(text: str) -> bool:
    """RFC 1123 subdomain: an object's name."""
    return len(text) <= 253 and _DNS_SUBDOMAIN.fullmatch(text) is not None


def is_label_value(text: str) -> bool:
    """A label's value; may be empty."""
    return not text or (len(text) <= 63 and _LABEL_WORD.fullmatch(text) is not None)


def is_qualified_name(text: str) -> bool:
    """A label's key: a word, optionally behind a DNS subdomain and ``/``."""
    prefix, slash, word = text.rpartition("/")
    return bool(word) and is_label_value(word) and (not slash or is_dns_subdomain(prefix))


def is_port_name(text: str) -> bool:
    """IANA service name (RFC 6335): what names a container port."""
    return (
        _PORT_NAME.fullmatch(text) is not None
        and any(character.isalpha() for character in text)
        and "--" not in text
        and not text.startswith("-")
        and not text.endswith("-")
    )

"""What the API server takes for a name, a label and a port (kubernetes ``apimachinery/pkg/util/validation``)."""

from __future__ import annotations

import re

from netsim.cluster.policy.fields import Field

_LABEL_WORD = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(rf"{_DNS_LABEL.pattern}(\.{_DNS_LABEL.pattern})*")
_PORT_NAME = re.compile(r"[-a-z0-9]{1,15}")

_WORD_RULE = "at most 63 letters, digits, '-', '_' or '.', a letter or digit at both ends"
PORTS = "1 to 65535"


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


def check_label_key(field: Field, key: str) -> str:
    """Return a label key, or raise `InputError` at ``field``."""
    if not is_qualified_name(key):
        field.fail(f"{key!r} is not a label key", f"[DNS subdomain/]name; the name is {_WORD_RULE}")
    return key


def check_label_value(field: Field) -> str:
    """Return a label value, or raise `InputError`."""
    value = field.text()
    if not is_label_value(value):
        field.fail("not a label value", f"empty, or {_WORD_RULE}")
    return value


def check_port_number(field: Field) -> int:
    """Return a port number, or raise `InputError`."""
    number = field.integer()
    if not 1 <= number <= 65535:
        field.fail("not a port number", PORTS)
    return number

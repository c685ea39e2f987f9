"""Where a text of a pod names a host: URLs, ``host:port``, full service names, values of options that want a host."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netsim.cluster.reading.pod_texts import ARGS, ENV

_HOST = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
_URL = re.compile(rf"([a-z][a-z0-9+.-]*)://(?:[^@/\s\"']*@)?({_HOST})\.?(?::(\d{{1,5}}))?(?![\w.])", re.IGNORECASE)
_HOST_PORT = re.compile(rf"(?<![\w.-])({_HOST})\.?:(\d{{1,5}})(?![\w.])", re.IGNORECASE)
_FULL_NAME = re.compile(rf"(?<![\w./@-])({_HOST}\.svc(?:\.[-a-z0-9.]*[a-z0-9])?)\.?(?![\w.-]|:\d)", re.IGNORECASE)
_HOST_THEN_PORT = re.compile(rf"(?<![\w./:-])({_HOST})\s+(\d{{2,5}})(?![\w.])", re.IGNORECASE)
_LINK = re.compile(r"\b([A-Z][A-Z0-9_]*)_SERVICE_HOST\b")
_SETTING = re.compile(r"^\s*[\"']?([A-Za-z][\w.-]*)[\"']?\s*[:=]\s*[\"']?([^\"'#]+?)[\"']?\s*[,;]?\s*$")
_WHOLE = re.compile(rf"({_HOST})\.?", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

HOST_WORDS = frozenset(
    (
        "addr", "address", "addresses", "addrs", "backend", "bootstrap", "broker", "brokers", "endpoint",
        "endpoints", "host", "hostname", "hosts", "join", "leader", "master", "nodes", "peer", "peers",
        "primary", "proxy", "replicaof", "seed", "seeds", "server", "servers", "service", "slaveof", "target",
        "upstream", "uri", "url", "urls",
    )
)  # fmt: skip
"""Last words of a variable, option or setting whose value is a host, even without a port."""
_OWN_WORDS = frozenset(("listen", "bind", "advertise", "advertised", "announce"))
"""Words of settings that name the pod's own address."""

SCHEME_PORTS: Mapping[str, int] = {
    "http": 80, "ws": 80, "https": 443, "wss": 443, "grpcs": 443, "redis": 6379, "rediss": 6379, "postgres": 5432,
    "postgresql": 5432, "mysql": 3306, "mongodb": 27017, "amqp": 5672, "amqps": 5671, "nats": 4222, "kafka": 9092,
    "memcached": 11211, "ldap": 389, "mqtt": 1883, "etcd": 2379,
}  # fmt: skip
"""Ports that a URL of this scheme means when it states none."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A host named in a text. ``sure`` is False where the text is a host only if its port fits the Service."""

    host: str
    port: int | None = None
    scheme: str = ""
    sure: bool = True


def wants_host(name: str) -> bool:
    """Tell whether a variable, option or setting of this name has a host as its value."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return bool(words) and words[-1] in HOST_WORDS and not _OWN_WORDS.intersection(words)


def names_itself(name: str) -> bool:
    """Tell whether a variable or setting states the pod's own address."""
    return bool(_OWN_WORDS.intersection(word.lower() for word in _WORDS.findall(name)))


def find_mentions(where: str, line: str, env: Mapping[str, str]) -> Iterator[Mention]:
    """Yield the hosts that one line names.

    Parameters
    ----------
    where: the kind and name of the text (``env:DB_HOST``, ``args:``, ``config:map/key``).
    line: the text.
    env: the pod's variables, where the port of a host may stand (``DB_PORT`` beside ``DB_HOST``).
    """
    if where.startswith(ENV):
        name = where.removeprefix(ENV)
        if names_itself(name):
            return
        if wants_host(name):
            yield from _whole_values(line, _port_beside(name, env))
    elif where == ARGS:
        yield from _options(line)
    else:
        setting = _SETTING.match(line)
        if setting is not None:
            if names_itself(setting.group(1)):
                return
            if wants_host(setting.group(1)):
                yield from _whole_values(setting.group(2), None)
    yield from _anywhere(line)


def _anywhere(line: str) -> Iterator[Mention]:
    for scheme, host, port in _URL.findall(line):
        yield Mention(host, int(port) if port else None, scheme.lower())
    for host, port in _HOST_PORT.findall(line):
        yield Mention(host, int(port))
    for host in _FULL_NAME.findall(line):
        yield Mention(host)
    for host, port in _HOST_THEN_PORT.findall(line):
        yield Mention(host, int(port), sure=False)
    for name in _LINK.findall(line):
        yield Mention(name.lower().replace("_", "-"))


def _whole_values(text: str, port: int | None) -> Iterator[Mention]:
    """Yield hosts that stand alone, or in a list, as the value of a setting."""
    for part in re.split(r"[,;\s]+", text):
        match = _WHOLE.fullmatch(part)
        if match is not None:
            yield Mention(match.group(1), port)


def _port_beside(name: str, env: Mapping[str, str]) -> int | None:
    for word in _WORDS.findall(name)[-1:]:
        value = env.get(name[: len(name) - len(word)] + ("PORT" if word.isupper() else "port"), "")
        if value.isdecimal() and 0 < int(value) <= 65535:
            return int(value)
    return None


def _options(line: str) -> Iterator[Mention]:
    """Yield hosts given to options: ``--redis-addr=db``, ``--replicaof db``, ``-h db``."""
    try:
        parts = shlex.split(line)
    except ValueError:
        parts = line.split()
    previous = ""
    for part in parts:
        option, equals, value = part.partition("=")
        if equals and option.startswith("-"):
            if wants_host(option):
                yield from _whole_values(value, None)
        elif (previous.startswith("-") and wants_host(previous)) or previous == "-h":
            yield from _whole_values(part, None)
        previous = "" if equals else part

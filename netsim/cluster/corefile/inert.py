"""Plugins that change no figure here: their arguments are checked as far as CoreDNS checks their form.

What needs the DNS pod's file system, network or clouds (certificates, zone files, credentials) cannot be checked and
is accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netsim.cluster.corefile.directive import Directive
from netsim.cluster.corefile.values import (
    RefusedError,
    duration,
    integer,
    regular_expression,
    split_host_port,
)
from netsim.cluster.names import is_domain, parse_network

Check = Callable[[Directive], None]


@dataclass(frozen=True, slots=True)
class Form:
    """How a directive may look: number of arguments, properties of its block (``None``: any), whether it may recur."""

    least: int = 0
    most: int = 1_000
    properties: tuple[str, ...] | None = ()
    once: bool = False
    argument: Callable[[str], object] | None = None

    def __call__(self, directive: Directive) -> None:
        """Refuse a directive of another form."""
        while directive.advance():
            taken = directive.arguments()
            if not self.least <= len(taken) <= self.most:
                raise directive.argument_error()
            for text in taken if self.argument else ():
                assert self.argument is not None
                self.argument(text)
            while directive.block():
                if self.properties is not None and directive.value not in self.properties:
                    raise directive.unknown_property()
                _skip(directive)
            if self.once:
                directive.finish_once()


def _skip(directive: Directive) -> None:
    """Pass over a property with its arguments and nested block."""
    directive.arguments()
    if directive.argument() and directive.value == "{":
        depth = 1
        while depth and directive.advance():
            depth += (directive.value == "{") - (directive.value == "}")


def _address(text: str) -> object:
    return split_host_port(text)


# ------------------------------------------------------------------------------------------------ with own rules


def _bufsize(text: str) -> None:
    if not 512 <= integer(text) <= 4096:
        raise RefusedError(f"bufsize must be within 512 - 4096: {text}")


def _cancel(text: str) -> None:
    if duration(text) < 0:
        raise RefusedError(f"invalid negative duration: {text}")


def _sockets(text: str) -> None:
    if integer(text) < 1 or integer(text) > 1024:
        raise RefusedError(f"number of sockets can not be zero or negative: {text}")


def _errors(directive: Directive) -> None:
    directive.advance()
    taken = directive.arguments()
    if len(taken) > 1:
        raise directive.argument_error()
    if taken and taken[0] != "stdout":
        raise directive.error(f"invalid log file: {taken[0]}")
    while directive.block():
        if directive.value == "consolidate":
            _consolidate(directive)
        elif directive.value != "stacktrace":
            raise directive.syntax_error(f"Unknown field {directive.value}")
    directive.finish_once()


def _consolidate(directive: Directive) -> None:
    taken = directive.arguments()
    if not 2 <= len(taken) <= 4:
        raise directive.argument_error()
    duration(taken[0])
    regular_expression(taken[1])
    options = taken[2:-1] if taken[-1] == "show_first" and len(taken) > 2 else taken[2:]
    if len(options) > 1 or any(option not in ("warning", "error", "info", "debug") for option in options):
        raise directive.error(f"unknown log level argument in consolidate: {' '.join(options)}")


def _log(directive: Directive) -> None:
    while directive.advance():
        directive.arguments()
        while directive.block():
            if directive.value != "class":
                raise directive.argument_error()
            for name in directive.some():
                if name not in ("all", "denial", "error", "success"):
                    raise RefusedError(f"invalid Class: {name}")


def _health(directive: Directive) -> None:
    while directive.advance():
        taken = directive.arguments()
        if len(taken) > 1:
            raise directive.argument_error()
        for text in taken:
            split_host_port(text)
        while directive.block():
            if directive.value != "lameduck":
                raise directive.argument_error()
            text = directive.one()
            try:
                duration(text)
            except RefusedError as reason:
                raise RefusedError(f'unable to parse lameduck duration value: "{text}": {reason}') from None


def _reload(directive: Directive) -> None:
    directive.advance()
    taken = directive.arguments()
    if len(taken) > 2:
        raise directive.argument_error()
    for text, least, what in zip(taken, (2.0, 1.0), ("interval", "jitter"), strict=False):
        if duration(text) < least:
            raise RefusedError(f"{what} value must be greater or equal to {least:g}s")
    directive.finish_once()


def _etcd(directive: Directive) -> None:
    directive.advance()
    directive.arguments()
    while directive.block():
        match directive.value:
            case "stubzones" | "debug":
                pass
            case "fallthrough" | "upstream":
                directive.arguments()
            case "path":
                directive.following()
            case "endpoint":
                directive.some()
            case "tls":
                if len(directive.arguments()) > 3:
                    raise directive.argument_error()
            case "credentials":
                if len(directive.some()) != 2:
                    raise directive.error("credentials requires 2 arguments, username and password")
            case "min-lease-ttl" | "max-lease-ttl":
                _lease(directive)
            case _:
                raise directive.unknown_property()


def _lease(directive: Directive) -> None:
    name, text = directive.value, directive.following()
    try:
        seconds = float(integer(text)) if text.lstrip("+-").isdecimal() else duration(text)
    except RefusedError as reason:
        raise directive.error(f"invalid {name} value: {reason}") from None
    if seconds < 0:
        raise directive.error(f"invalid {name} value: {text}")


def _acl(directive: Directive) -> None:
    while directive.advance():
        directive.arguments()
        while directive.block():
            if directive.value not in ("allow", "block", "filter", "drop"):
                expected = "'allow', 'block', 'filter' or 'drop'"
                raise directive.error(f"unexpected token '{directive.value}'; expect {expected}")
            for text in directive.arguments():
                if "/" in text and parse_network(text) is None:
                    raise directive.error(f"illegal CIDR notation '{text}'")


def _file(directive: Directive) -> None:
    while directive.advance():
        directive.following()
        for zone in directive.arguments():
            if not is_domain(zone):
                raise RefusedError(f"zone is not a valid domain name: {zone}")
        while directive.block():
            if directive.value not in ("reload", "upstream", "fallthrough"):
                raise directive.unknown_property()
            directive.arguments()


_ANY = Form(properties=None)
_NOTHING = Form(most=0)
INERT: Mapping[str, Check] = {
    "root": Form(1, 1),
    "metadata": Form(properties=()),
    "geoip": Form(1, 1, properties=None),
    "cancel": Form(0, 1, argument=_cancel),
    "tls": Form(2, 3, properties=("client_auth", "keylog")),
    "proxyproto": _ANY,
    "quic": _ANY,
    "grpc_server": _ANY,
    "https": _ANY,
    "https3": _ANY,
    "timeouts": Form(0, 0, properties=("read", "write", "idle")),
    "multisocket": Form(0, 1, argument=_sockets),
    "reload": _reload,
    "nsid": Form(),
    "bufsize": Form(0, 1, argument=_bufsize),
    "debug": _NOTHING,
    "trace": _ANY,
    "ready": Form(0, 1, argument=_address, properties=("monitor",)),
    "health": _health,
    "pprof": Form(0, 1, properties=("block",), once=True),
    "prometheus": Form(0, 1, argument=_address, properties=None),
    "errors": _errors,
    "log": _log,
    "dnstap": Form(1, properties=None),
    "local": _NOTHING,
    "acl": _acl,
    "any": _NOTHING,
    "chaos": Form(),
    "tsig": Form(properties=("secret", "secrets", "require", "require_opcode")),
    "header": Form(0, 0, properties=None),
    "dnssec": Form(properties=("key", "cache_capacity")),
    "minimal": _NOTHING,
    "transfer": Form(properties=("to",)),
    "route53": _ANY,
    "azure": _ANY,
    "clouddns": _ANY,
    "file": _file,
    "auto": Form(properties=None),
    "secondary": Form(properties=None),
    "etcd": _etcd,
    "loop": Form(0, 0, once=True),
    "erratic": Form(properties=("drop", "delay", "truncate", "large")),
    "on": _ANY,
    "sign": Form(1, properties=("key", "directory")),
    "view": Form(1, 1, properties=("expr",)),
    "nomad": _ANY,
}
"""Check of each plugin without effect, by name."""

ANSWERING = frozenset(
    ("etcd", "file", "auto", "secondary", "route53", "azure", "clouddns", "nomad", "sign", "erratic", "acl", "any")
)
"""Plugins among them that may answer (or refuse) queries in a real server from data that is not here."""

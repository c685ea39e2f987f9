"""Set-up of the plugins that answer from data: kubernetes, k8s_external, hosts, template, whoami.

Each follows the ``setup.go`` of the CoreDNS plugin of that name, errors included.
"""

from __future__ import annotations

import re
from typing import Literal, cast

from netsim.cluster.corefile.directive import Directive, read_block
from netsim.cluster.corefile.gotemplate import Template, TemplateError, parse_template
from netsim.cluster.corefile.labels import parse_selector
from netsim.cluster.corefile.specs import External, Hosts, Kubernetes, TemplateRule, Templates, Whoami
from netsim.cluster.corefile.values import RefusedError, duration, integer, regular_expression, zones_or
from netsim.cluster.names import canonical_address, is_reverse
from netsim.cluster.objects import Selector

PodMode = Literal["disabled", "insecure", "verified"]
QUERY_CLASSES = frozenset(("IN", "CS", "CH", "HS", "NONE", "ANY"))
_QUERY_TYPES = """
    A AAAA AFSDB AMTRELAY ANY APL AVC AXFR CAA CDNSKEY CDS CERT CNAME CSYNC DHCID DLV DNAME DNSKEY DS EID EUI48
    EUI64 GID GPOS HINFO HIP HTTPS IPSECKEY ISDN IXFR KEY KX L32 L64 LOC LP MAILA MAILB MB MD MF MG MINFO MR MX
    NAPTR NID NIMLOC NINFO NS NSAP-PTR NSEC NSEC3 NSEC3PARAM NULL NXNAME NXT None OPENPGPKEY OPT PTR PX RESINFO
    RKEY RP RRSIG RT Reserved SIG SMIMEA SOA SPF SRV SSHFP SVCB TA TALINK TKEY TLSA TSIG TXT UID UINFO UNSPEC
    URI X25 ZONEMD
"""
QUERY_TYPES = frozenset(_QUERY_TYPES.split())
_RCODES = """
    NOERROR FORMERR SERVFAIL NXDOMAIN NOTIMP REFUSED YXDOMAIN YXRRSET NXRRSET NOTAUTH NOTZONE DSOTYPENI BADSIG
    BADVERS BADKEY BADTIME BADMODE BADNAME BADALG BADTRUNC BADCOOKIE
"""
RCODES = frozenset(_RCODES.split())


# ------------------------------------------------------------------------------------------------ kubernetes


def setup_kubernetes(directive: Directive) -> Kubernetes:
    """Read ``kubernetes [ZONES...] { ... }``."""
    directive.advance()
    zones = directive.zones(directive.arguments())
    if all(is_reverse(zone) for zone in zones):
        raise RefusedError("non-reverse zone name must be used")
    namespaces: dict[str, None] = {}
    found = read_block(
        directive,
        {
            "endpoint_pod_names": directive.flag,
            "pods": lambda: _pod_mode(directive),
            "namespaces": lambda: namespaces.update(dict.fromkeys(directive.some())),
            "endpoint": directive.some,
            "tls": lambda: _exactly(directive, 3),
            "labels": lambda: _selector(directive, "label"),
            "namespace_labels": lambda: _selector(directive, "namespace_label"),
            "fallthrough": directive.fall,
            "ttl": directive.ttl,
            "noendpoints": directive.flag,
            "ignore": lambda: _ignore(directive),
            "kubeconfig": lambda: _exactly(directive, 1, 2),
            "multicluster": lambda: zones_or(directive.arguments(), ()),
            "startup_timeout": lambda: _startup_timeout(directive),
            "apiserver_qps": lambda: _at_least_zero(directive, fraction=True),
            "apiserver_burst": lambda: _at_least_zero(directive),
            "apiserver_max_inflight": lambda: _at_least_zero(directive),
            "zonal": directive.flag,
            "ptr_hostname_only": directive.flag,
        },
    )
    if namespaces and "namespace_labels" in found:
        raise directive.error("namespaces and namespace_labels cannot both be set")
    for zone in cast(tuple[str, ...], found.get("multicluster", ())):
        if zone not in zones:
            raise directive.error(f"is not authoritative for the multicluster zone {zone}")
    if "zonal" in found and "noendpoints" in found:
        raise directive.error("zonal cannot be used with noendpoints")
    directive.finish_once()
    return Kubernetes(
        zones,
        pods=cast(PodMode, found.get("pods", "disabled")),
        ttl_s=cast(int, found.get("ttl", 5)),
        endpoint_pod_names="endpoint_pod_names" in found,
        namespaces=tuple(namespaces),
        labels=cast("Selector | None", found.get("labels")),
        namespace_labels=cast("Selector | None", found.get("namespace_labels")),
        fall=cast(tuple[str, ...], found.get("fallthrough", ())),
        endpoints="noendpoints" not in found,
        ignore_empty_service=found.get("ignore") is True,
        multicluster=cast(tuple[str, ...], found.get("multicluster", ())),
        zonal="zonal" in found,
        ptr_hostname_only="ptr_hostname_only" in found,
    )


def _pod_mode(directive: Directive) -> PodMode:
    mode = directive.one()
    if mode not in ("disabled", "insecure", "verified"):
        raise RefusedError(f"wrong value for pods: {mode},  must be one of: disabled, verified, insecure")
    return cast(PodMode, mode)


def _exactly(directive: Directive, *counts: int) -> list[str]:
    taken = directive.arguments()
    if len(taken) not in counts:
        raise directive.argument_error()
    return taken


def _selector(directive: Directive, what: str) -> Selector:
    text = " ".join(directive.some())
    try:
        return parse_selector(text)
    except RefusedError as reason:
        raise RefusedError(f"unable to parse {what} selector value: '{text}': {reason}") from None


def _ignore(directive: Directive) -> bool:
    taken = directive.arguments()
    if taken and taken[0] != "empty_service":
        raise RefusedError(f"unable to parse ignore value: '{taken[0]}'")
    return bool(taken)


def _startup_timeout(directive: Directive) -> float:
    text = directive.some()[0]
    try:
        return duration(text)
    except RefusedError as reason:
        raise RefusedError(f"failed to parse startup_timeout: {text}, {reason}") from None


def _at_least_zero(directive: Directive, *, fraction: bool = False) -> float:
    name = directive.value
    text = directive.one()
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)" if fraction else r"[+-]?\d+", text):
        raise directive.error(f"{name} must be a number: {text}")
    if float(text) < 0:
        raise directive.error(f"{name} must be >= 0")
    return float(text)


def setup_external(directive: Directive) -> External:
    """Read ``k8s_external [ZONES...] { ... }``; a second occurrence replaces the first."""
    found: dict[str, object] = {}
    zones: tuple[str, ...] = ()
    while directive.advance():
        zones = directive.zones(directive.arguments())
        found |= read_block(
            directive,
            {
                "ttl": directive.ttl,
                "apex": lambda: directive.some()[0],
                "headless": lambda: True,
                "fallthrough": directive.fall,
            },
        )
    return External(
        zones,
        apex=cast(str, found.get("apex", "dns")),
        ttl_s=cast(int, found.get("ttl", 5)),
        headless="headless" in found,
        fall=cast(tuple[str, ...], found.get("fallthrough", ())),
    )


# ------------------------------------------------------------------------------------------------ hosts


def setup_hosts(directive: Directive) -> Hosts:
    """Read ``hosts [FILE [ZONES...]] { inline lines and properties }``."""
    directive.advance()
    arguments = directive.arguments()
    file, zones = (arguments[0] if arguments else "/etc/hosts"), directive.zones(arguments[1:])
    entries: list[tuple[str, tuple[str, ...]]] = []
    fall: tuple[str, ...] = ()
    ttl, reverse = 3600, True
    while directive.block():
        match directive.value:
            case "fallthrough":
                fall = directive.fall()
            case "no_reverse":
                reverse = False
            case "ttl":
                ttl = _hosts_ttl(directive)
            case "reload":
                _hosts_reload(directive)
            case first:
                if fall:
                    raise directive.unknown_property()
                names = tuple(f"{name.rstrip('.').lower()}." for name in directive.arguments())
                if address := canonical_address(first.partition("%")[0]):
                    entries.append((address, names))
    directive.finish_once()
    return Hosts(zones, tuple(entries), file, ttl, reverse, fall)


def _hosts_ttl(directive: Directive) -> int:
    taken = directive.arguments()
    if not taken:
        raise directive.error("ttl needs a time in second")
    try:
        seconds = integer(taken[0])
    except RefusedError:
        raise directive.error("ttl needs a number of second") from None
    if not 0 < seconds <= 65535:
        raise directive.error("ttl provided is invalid")
    return seconds


def _hosts_reload(directive: Directive) -> None:
    taken = directive.arguments()
    if len(taken) != 1:
        raise directive.error("reload needs a duration (zero seconds to disable)")
    try:
        seconds = duration(taken[0])
    except RefusedError:
        raise directive.error(f"invalid duration for reload '{taken[0]}'") from None
    if seconds < 0:
        raise directive.error(f"invalid negative duration for reload '{taken[0]}'")


# ------------------------------------------------------------------------------------------------ template, whoami


def setup_template(directive: Directive) -> Templates:
    """Read every ``template CLASS TYPE [ZONES...] { ... }``."""
    rules = []
    while directive.advance():
        query_class = directive.following()
        if query_class not in QUERY_CLASSES:
            raise directive.error(f"invalid query class {query_class}")
        query_type = directive.following()
        if query_type not in QUERY_TYPES and not re.fullmatch(r"TYPE\d{1,5}", query_type):
            raise directive.error(f"invalid RR type {query_type}")
        rules.append(_template_rule(directive, query_class, query_type))
    return Templates(tuple(rules))


def _template_rule(directive: Directive, query_class: str, query_type: str) -> TemplateRule:
    zones = directive.zones(directive.arguments())
    patterns: list[re.Pattern[str]] = []
    sections: dict[str, list[Template]] = {"answer": [], "additional": [], "authority": []}
    rcode, fall = "NOERROR", cast(tuple[str, ...], ())
    while directive.block():
        match directive.value:
            case "match":
                patterns += [_pattern(directive, text) for text in directive.some()]
            case "answer" | "additional" | "authority" as section:
                sections[section] += [_template(directive, text) for text in directive.some()]
            case "rcode":
                rcode = directive.following()
                if rcode not in RCODES:
                    raise directive.error(f"unknown rcode {rcode}")
            case "ederror":
                _extended_error(directive)
            case "fallthrough":
                fall = directive.fall()
            case "upstream":
                directive.arguments()
            case _:
                raise directive.argument_error()
    return TemplateRule(
        query_class, query_type, zones, tuple(patterns) or (re.compile(".*"),), tuple(sections["answer"]),
        tuple(sections["additional"]), tuple(sections["authority"]), rcode, fall,
    )  # fmt: skip


def _pattern(directive: Directive, text: str) -> re.Pattern[str]:
    try:
        return regular_expression(text)
    except RefusedError as reason:
        raise directive.error(f"could not parse regex: {text}, {reason}") from None


def _template(directive: Directive, text: str) -> Template:
    try:
        return parse_template(text)
    except TemplateError as reason:
        raise directive.error(f"could not compile template: {text}, {reason}") from None


def _extended_error(directive: Directive) -> None:
    taken = directive.arguments()
    if len(taken) not in (1, 2):
        raise directive.argument_error()
    if not taken[0].isdecimal() or int(taken[0]) > 65535:
        raise directive.error(f"error parsing extended DNS error code {taken[0]}")


def setup_whoami(directive: Directive) -> Whoami:
    """Read ``whoami``."""
    while directive.advance():
        directive.flag()
    return Whoami()

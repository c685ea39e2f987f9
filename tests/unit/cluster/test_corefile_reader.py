from __future__ import annotations

import pytest

from netsim.cluster.corefile import Cache, Forward, Hosts, Kubernetes, Rewrite, default_corefile, parse_corefile
from netsim.cluster.corefile.gotemplate import TemplateError, parse_template
from netsim.cluster.corefile.labels import parse_selector
from netsim.cluster.corefile.tokens import tokenize
from netsim.cluster.corefile.values import RefusedError, duration, regular_expression, zone_addresses
from netsim.errors import InputError


def texts(source: str) -> list[str]:
    return [token.text for token in tokenize(source, "f")]


def refused(source: str) -> InputError:
    with pytest.raises(InputError) as caught:
        parse_corefile(source, "dns.conf")
    return caught.value


def test_tokens() -> None:
    assert texts('a "b c" # rest\n"d \\" e" f#g h\ni"j') == ["a", "b c", 'd " e', "f", 'i"j']
    assert texts('\ufeff"" x') == ["", "x"]
    assert [token.line for token in tokenize('a\n"b\nc" d\ne', "f")] == [1, 2, 3, 4]


def test_snippets_imports_and_environment() -> None:
    found = parse_corefile(
        "(base) {\n errors\n cache {$TTL}\n}\nimport more/*.server\n. {\n import base\n import extra\n}\n",
        files={"more/a.server": "a.example {\n import base\n}", "more/b.txt": "}", "extra": "forward . {%UP%}"},
        env={"TTL": "12", "UP": "192.0.2.9"},
    )
    first, root = found.servers
    assert first.addresses[0].zone == "a.example." and first.without_effect == ("errors",)
    cache, forward = root.first(Cache), root.first(Forward)
    assert cache is not None and cache.success.max_ttl_s == 12
    assert forward is not None and forward.upstreams[0].address == "192.0.2.9"


def test_import_is_seen_inside_a_plugin_block() -> None:
    found = parse_corefile(
        ". {\n hosts {\n import lines\n fallthrough\n }\n}", files={"lines": "10.0.0.1 a\n10.0.0.2 b"}
    )
    hosts = found.servers[0].first(Hosts)
    assert hosts is not None and hosts.entries == (("10.0.0.1", ("a.",)), ("10.0.0.2", ("b.",)))


@pytest.mark.parametrize(
    ("source", "reason", "line"),
    [
        (". {\n cache 30\n", "Syntax error: Unexpected token '30', expecting '}'", 2),
        (". {\n hosts {\n  fallthrough\n", "Unexpected EOF", 3),
        (". {\n import absent\n}", "File to import not found: absent", 2),
        (". {\n import a/*/*\n}", "may only contain one wildcard", 2),
        ("(a) {\n}\n(a) {\n}\n. {\n}", "redeclaration of previously declared snippet a", 3),
        ("(a) {\n import a\n}\n. {\n import a\n}", "maximum snippet import depth", None),
        ("a.example, {\n}", "check for extra comma", 1),
        (". {\n whoami }\n}", "Unexpected '}'", 2),
        (". {\n cache 30\n cache 40\n}", "plugin/cache: this plugin can only be used once", 3),
        (". {\n\n\n kubernetes x {\n  pods maybe\n }\n}", "plugin/kubernetes: wrong value for pods: maybe", 5),
        (". {\n template ANY ANY {\n  rcode NXDOMAIN { }\n  rcode\n }\n}", "plugin/template", None),
        ("a..b {\n}", "not a valid domain name", 1),
        ("x: {\n}", "expecting data after last colon", 1),
        ("a:53 {\n bind 10.0.0.1\n}\na:53 {\n}", "zone overlap listener capacity", None),
        ("", "no server block", None),
        ("# only a comment", "no server block", None),
    ],
)
def test_refusals(source: str, reason: str, line: int | None) -> None:
    error = refused(source)
    assert reason in str(error)
    assert error.place.file == "dns.conf"
    if line is not None:
        assert error.place.line == line


@pytest.mark.parametrize(
    "source",
    [
        "errors { stacktrace }",
        "hosts { fallthrough }",
        "kubernetes x.example {\n multicluster\n}",
        "cache {}",
        "loadbalance {\n prefer 10.0.0.0/8\n}",
        "forward . 192.0.2.1 {\n next nxdomain\n}\nforward b.example 192.0.2.2",
        "rewrite edns0 subnet set 24 56",
        "rewrite continue {\n ttl suffix example.org 10-\n}",
    ],
)
def test_accepted(source: str) -> None:
    assert parse_corefile(". {\n" + source + "\n}").servers


def test_addresses() -> None:
    assert [str(a) for a in zone_addresses("tls://Example.ORG")] == ["tls://Example.ORG.:853"]
    assert [a.zone for a in zone_addresses("10.1.2.0/23")] == ["2.1.10.in-addr.arpa.", "3.1.10.in-addr.arpa."]
    assert [a.zone for a in zone_addresses("2001:db8::/32")] == ["8.b.d.0.1.0.0.2.ip6.arpa."]
    assert zone_addresses("10.0.0.0/24:1053")[0].port == 1053


def test_default_is_kubeadm() -> None:
    block = parse_corefile(default_corefile("corp.test")).servers[0]
    kubernetes, cache = block.first(Kubernetes), block.first(Cache)
    assert kubernetes is not None and kubernetes.zones[0] == "corp.test." and kubernetes.ttl_s == 30
    assert cache is not None and cache.success.max_ttl_s == cache.denial.max_ttl_s == 30


def test_chain_order_is_the_build_order() -> None:
    block = parse_corefile(". {\n forward . 192.0.2.1\n hosts\n rewrite name a b\n cache\n}").servers[0]
    assert [type(plugin) for plugin in block.plugins] == [Cache, Rewrite, Hosts, Forward]


def test_values() -> None:
    assert duration("1m30.5s") == 90.5 and duration("-2ms") == -0.002 and duration("0") == 0
    for wrong in ("5", "s", "1d", "", "1 s", "--1s"):
        with pytest.raises(RefusedError):
            duration(wrong)
    assert regular_expression(r"^[[:digit:]]+\z").match("42")
    with pytest.raises(RefusedError):
        regular_expression("(?=a)")


def test_selectors() -> None:
    found = parse_selector("env in (a, b),tier!=cold,!canary,app=web,ready")
    assert found.match_labels == {"app": "web"}
    assert [(r.key, r.operator, r.values) for r in found.match_expressions] == [
        ("env", "In", ("a", "b")), ("tier", "NotIn", ("cold",)),
        ("canary", "DoesNotExist", ()), ("ready", "Exists", ()),
    ]  # fmt: skip
    with pytest.raises(RefusedError):
        parse_selector("env in (a")


def test_go_templates() -> None:
    data = {"Name": "x.", "Group": {"a": "ff"}, "Match": ("x", "y")}
    render = parse_template("{{ .Name }} {{ parseInt .Group.a 16 }}").render
    with pytest.raises(TemplateError):
        render(data)
    made = parse_template('{{- .Name }} {{ index .Match 1 }} {{ .Group.a | print "0x" }}')
    assert made.render(data) == "x. y 0xff"
    assert parse_template("{{ parseInt .Group.a 16 8 }}").render(data) == "255"
    for wrong in ("{{", "{{ nope }}", "{{ end }}", "{{ if .Name }}", "{{ }}", "{{ ( }}"):
        with pytest.raises(TemplateError):
            parse_template(wrong)

"""Mutated Corefiles: either a configuration that answers queries or one clear message, never a traceback."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netsim.cluster.cluster import Cluster
from netsim.cluster.corefile import parse_corefile
from netsim.cluster.dns import DnsServer
from netsim.cluster.objects import Namespace, Service, ServicePort
from netsim.errors import InputError

EXAMPLES = 2100
COREFILES = (
    """.:53 {
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods verified
        ttl 20
        endpoint_pod_names
        fallthrough in-addr.arpa ip6.arpa
    }
    autopath @kubernetes
    forward . /etc/resolv.conf {
        max_concurrent 500
        policy sequential
    }
    cache 20 {
        success 5000 30
        denial 1000 10 2
        serve_stale 10m verify
    }
    loop
    reload 10s
    loadbalance
}
""",
    """(common) {
    errors
    log . "{remote} {name}" {
        class error denial
    }
    cache 15
}
shop.example:53 tickets.example {
    import common
    hosts {
        10.9.0.1 pay.shop.example
        fd00::9 pay.shop.example # second family
        ttl 60
        fallthrough
    }
    rewrite name suffix .shop.example .prod.svc.cluster.local answer auto
    rewrite stop type ANY HINFO
    kubernetes cluster.local {
        namespaces prod test
        labels app in (web, api),tier!=cold
        ignore empty_service
    }
}
. {
    import common
    template IN A dyn.example {
        match "^ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)[.]dyn[.]example[.]$"
        answer "{{ .Name }} 60 IN A 10.0.{{ .Group.a }}.{{ .Group.b }}"
        fallthrough
    }
    rewrite ttl regex (.*)[.]example[.] 30-300
    forward . tls://192.0.2.7%dns.example 192.0.2.8:5353 {
        except corp.example
        force_tcp
        health_check 2s domain health.example
    }
    dns64 64:ff9b::/96
    whoami
}
""",
    """10.20.0.0/22 fd10::/30 {
    bind 127.0.0.1
    k8s_external public.example {
        apex names
        headless
    }
    kubernetes cluster.local
    health :8080 {
        lameduck 3s
    }
    ready
    prometheus :9153
    acl {
        allow net 10.0.0.0/8
        block
    }
    bufsize 1232
}
""",
)
WORDS = tuple(dict.fromkeys(chain.from_iterable(text.split() for text in COREFILES)))
NAMES = ("web.prod.svc.cluster.local", "pay.shop.example", "ip-1-2.dyn.example", "1.0.20.10.in-addr.arpa", "x.example")
CLUSTER = Cluster(
    namespaces=(Namespace("prod"), Namespace("test")),
    services=(
        Service("prod", "web", cluster_ips=("10.96.0.4",), ports=(ServicePort(80, "http"),), labels={"app": "web"}),
        Service("prod", "out", type="ExternalName", external_name="pay.shop.example"),
    ),
)
WORD = st.sampled_from(WORDS) | st.text(min_size=1, max_size=6) | st.integers(-5, 70_000).map(str)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    lines = draw(st.sampled_from(COREFILES)).split("\n")
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["drop", "double", "word", "cut", "comment", "comment", "number", "swap", "stray"]))
        words = lines[at].split(" ")
        spot = draw(st.integers(0, len(words) - 1))
        if kind == "drop" and "{" not in lines[at] and "}" not in lines[at]:
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "word":
            words[spot] = draw(WORD)
        elif kind == "cut":
            words = words[: spot + 1]
        elif kind == "comment":
            words.append(f"# {draw(st.text('abc{}', max_size=5))}")
        elif kind == "number" and words[spot].isdecimal():
            words[spot] = str(draw(st.integers(0, 400)))
        elif kind == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
            continue
        elif kind == "stray" and draw(st.integers(0, 5)) == 0:
            words.insert(spot, draw(st.sampled_from(["{", "}", '"', "\\", "import", "{$X}", "{%X%}", "(a)", ","])))
        if kind in ("word", "cut", "comment", "number", "stray"):
            lines[at] = " ".join(words)
    return "\n".join(lines)


def test_only_a_server_or_one_message(record_property: pytest.RecordProperty) -> None:
    seen = accepted = 0

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(mutated())
    def read(text: str) -> None:
        nonlocal seen, accepted
        seen += 1
        try:
            corefile = parse_corefile(text)
        except InputError as error:
            assert str(error)
            return
        accepted += 1
        server = DnsServer(CLUSTER, corefile)
        for name in NAMES:
            for type in ("A", "SRV"):
                assert server.answer(name, type).rcode

    read()
    record_property("accepted", f"{accepted}/{seen}")
    assert seen >= EXAMPLES
    assert accepted >= seen / 2, f"{accepted} of {seen} accepted"


@given(st.text(max_size=120))
@settings(max_examples=600, deadline=None, derandomize=True, database=None)
def test_any_text(text: str) -> None:
    try:
        parse_corefile(text)
    except InputError as error:
        assert "\n" not in str(error.place)

from __future__ import annotations

from collections.abc import Callable

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.dns import Record, Response
from netsim.cluster.objects import DnsConfig, Pod, PodTemplate
from netsim.cluster.resolver import (
    RESOLVERS,
    Done,
    HostResolv,
    Query,
    ResolverConfig,
    Send,
    new_lookup,
    resolv_conf,
    walk,
)
from netsim.cluster.resolver.musl import MuslLookup
from netsim.cluster.resolver.plan import glibc_plan, go_plan, musl_plan
from netsim.errors import InputError

SEARCH = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")
CONFIG = ResolverConfig(("10.96.0.10",), SEARCH, ("ndots:5",), {"localhost": ("127.0.0.1", "::1"), "me": ("10.1.1.1",)})
Network = Callable[[Query], Response | None]


def found(query: Query) -> Response:
    return Response(answers=(Record(query.name, query.type, 5, "10.0.0.1" if query.type == "A" else "fd00::1"),))


def only(*names: str) -> Network:
    return lambda query: found(query) if query.name in names else Response("NXDOMAIN")


def asked(resolver: str, name: str, network: Network, config: ResolverConfig = CONFIG) -> tuple[Done, list[str]]:
    walked = walk(new_lookup(resolver, config, name), network)
    return walked.done, [f"{e.query.type} {e.query.name}" for e in walked.exchanges]


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_no_query_for_literals_and_hosts(resolver: str) -> None:
    for name, source, addresses in (
        ("10.2.3.4", "literal", ("10.2.3.4",)),
        ("fd00::7", "literal", ("fd00::7",)),
        ("localhost", "files", ("127.0.0.1", "::1")),
        ("ME.", "files", ("10.1.1.1",)),
    ):
        done, sent = asked(resolver, name, found)
        assert (done.source, done.addresses, sent) == (source, addresses, [])


@pytest.mark.parametrize("resolver", RESOLVERS)
@pytest.mark.parametrize("name", ["x" * 300, ".".join(["a" * 60] * 5), "", "."])
def test_names_that_cannot_be_asked(resolver: str, name: str) -> None:
    done, sent = asked(resolver, name, found)
    assert done.result == "NXDOMAIN" or all(len(query) < 260 for query in sent)


def test_plans() -> None:
    assert glibc_plan("a.b", 1, ("s", ".", "t")) == (("a.b.", "a.b.s.", "a.b.", "a.b.t."), 0)
    assert glibc_plan("a", 1, ("s", ".", "t")) == (("a.s.", "a.", "a.t."), 1)
    assert glibc_plan("a", 1, ("s" * 253, "t")) == (("a.t.", "a."), 1)
    assert musl_plan("a..", 1, ("s",)) == () and musl_plan("a", 1, ("s " * 200,)) == ("a.",)
    assert go_plan("x.onion", 1, ("s",)) == ("x.onion.s.",) and go_plan("x.onion.", 1, ()) == ()


def test_servfail_on_a_candidate() -> None:
    """glibc and Go try the next candidate, musl gives up after its timeout."""

    def network(query: Query) -> Response:
        return Response("SERVFAIL") if query.name.startswith("a.shop.") else only("a.svc.cluster.local.")(query)  # type: ignore[return-value]

    assert [asked(resolver, "a", network)[0].result for resolver in RESOLVERS] == ["ANSWER", "SERVFAIL", "ANSWER"]


def test_timeout_ends_glibcs_search_but_for_the_name_itself() -> None:
    done, sent = asked("glibc", "a", lambda query: None)
    assert done.result == "TIMEOUT"
    assert list(dict.fromkeys(sent)) == [f"{t} {n}" for n in ("a.shop.svc.cluster.local.", "a.") for t in ("A", "AAAA")]


def test_the_name_as_given_decides_for_glibc_when_tried_first() -> None:
    config = ResolverConfig(("10.0.0.1",), ("s",), ("ndots:1",))
    nodata_in_search: Network = lambda query: Response() if query.name == "a.b.s." else Response("NXDOMAIN")  # noqa: E731
    assert asked("glibc", "a.b", nodata_in_search, config)[0].result == "NXDOMAIN"
    assert asked("go", "a.b", nodata_in_search, config)[0].result == "NODATA"


def test_cname_without_address() -> None:
    """It ends the search in glibc and musl; Go goes on."""

    def network(query: Query) -> Response:
        return Response(answers=(Record(query.name, "CNAME", 5, "gone.example."),))

    results = [asked(resolver, "a", network) for resolver in RESOLVERS]
    assert [done.result for done, _ in results] == ["NODATA"] * 3
    assert [len(sent) for _, sent in results] == [2, 2, 8]


def test_options() -> None:
    config = ResolverConfig(options=("ndots:99", "timeout:0", "attempts:7", "rotate", "edns0", "ndots", "no-aaaa"))
    assert (config.ndots, config.timeout_s(), config.attempts(), config.rotate, config.edns0) == (15, 1, 5, True, True)
    defaults = ResolverConfig()
    assert (defaults.ndots, defaults.timeout_s(), defaults.attempts(), defaults.tcp) == (1, 5, 2, False)
    no_aaaa = ResolverConfig(("10.0.0.1",), (), ("no-aaaa",))
    assert asked("glibc", "a.", found, no_aaaa)[1] == ["A a."]


def test_rotate_moves_the_first_server() -> None:
    config = ResolverConfig(("10.0.0.1", "10.0.0.2", "10.0.0.3"), (), ("rotate",))
    servers = [
        {e.query.server for e in walk(new_lookup(resolver, config, "a.", offset=1), found).exchanges}
        for resolver in RESOLVERS
    ]
    assert servers == [{1}, {0, 1, 2}, {1}], "musl asks all and knows no rotate"


def test_only_three_servers() -> None:
    config = ResolverConfig(tuple(f"10.0.0.{i}" for i in range(1, 6)))
    used = [
        {e.query.server for e in walk(new_lookup(resolver, config, "a."), lambda query: None).exchanges}
        for resolver in RESOLVERS
    ]
    assert used == [{0, 1, 2}, {0, 1, 2}, {0, 1, 2, 3, 4}]


def test_glibc_timeouts_share_out_over_servers() -> None:
    config = ResolverConfig(("10.0.0.1", "10.0.0.2", "10.0.0.3"))
    walked = walk(new_lookup("glibc", config, "a.", ("A",)), lambda query: None)
    assert [e.at_s for e in walked.exchanges] == [0, 5, 8, 14, 19, 22] and walked.seconds == 28


def test_single_request_waits_for_the_first_answer() -> None:
    config = ResolverConfig(("10.0.0.1",), (), ("single-request",))
    for resolver in ("glibc", "go"):
        lookup = new_lookup(resolver, config, "a.")
        first = lookup.next()
        assert isinstance(first, Send) and [q.type for q in first.queries] == ["A"] and lookup.next() is None
        lookup.answered(first.queries[0], found(first.queries[0]))
        second = lookup.next()
        assert isinstance(second, Send) and [q.type for q in second.queries] == ["AAAA"]


def test_late_and_double_answers_are_ignored() -> None:
    for resolver in RESOLVERS:
        lookup = new_lookup(resolver, CONFIG, "a")
        steps = [step for step in (lookup.next(), lookup.next()) if isinstance(step, Send)]
        queries = [query for step in steps for query in step.queries]
        for query in queries:
            lookup.answered(query, Response("NXDOMAIN"))
        following = lookup.next()
        assert isinstance(following, Send)
        lookup.answered(queries[0], found(queries[0]))
        lookup.timed_out(steps[0].round)
        assert not isinstance(lookup.next(), Done)


def test_musl_retries_truncated_answers_over_tcp_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def network(query: Query) -> Response:
        return found(query) if query.transport == "tcp" else Response(truncated=True)

    assert asked("musl", "a.", network)[0].result == "NODATA"
    monkeypatch.setattr(MuslLookup, "retries_tcp", True)
    assert asked("musl", "a.", network)[0].result == "ANSWER"


def test_musl_knows_no_search_list_for_other_types() -> None:
    sent = [
        [e.query.name for e in walk(new_lookup(resolver, CONFIG, "_h._tcp.a", ("SRV",)), only()).exchanges]
        for resolver in RESOLVERS
    ]
    assert [len(names) for names in sent] == [4, 1, 4]


def test_unknown_resolver() -> None:
    with pytest.raises(InputError, match="glibc, musl, go"):
        new_lookup("bionic", CONFIG, "a")


# ------------------------------------------------------------------------------------------------ resolv.conf


def test_limits_cut_the_tail() -> None:
    wanted = DnsConfig(
        tuple(f"10.0.0.{i}" for i in range(1, 6)),
        tuple(f"d{i}.example" for i in range(40)),
        (("ndots", "2"), ("use-vc", None)),
    )
    made = resolv_conf(
        Pod("p", PodTemplate("shop", dns_config=wanted)), Cluster(), HostResolv(search=("corp.example",))
    )
    assert made.nameservers == ("10.96.0.10", "10.0.0.1", "10.0.0.2")
    assert len(made.search) == 32 and made.search[3] == "corp.example"
    assert made.options == ("ndots:2", "use-vc") and made.ndots == 2 and made.tcp
    long = DnsConfig(("10.0.0.1",), ("x" * 254, *(f"{i}{'y' * 200}" for i in range(20))))
    made = resolv_conf(Pod("p", PodTemplate("shop", dns_policy="None", dns_config=long)), Cluster())
    assert len(" ".join(made.search)) <= 2048 and not made.search[0].startswith("x")


def test_every_resolver_has_its_own_bounds() -> None:
    """glibc takes at most 30 s and 5 attempts, musl 60 s and 10, Go whatever is written."""
    config = ResolverConfig(("10.96.0.10",), options=("timeout:90", "attempts:12"))
    seconds = {}
    for kind in ("glibc", "musl", "go"):
        sent = new_lookup(kind, config, "a.").next()
        assert isinstance(sent, Send)
        seconds[kind] = sent.timeout_s
    assert seconds == {"glibc": 30, "musl": 60 / 10, "go": 90}


def test_search_domains_of_the_nodes() -> None:
    cluster = Cluster(host_search=("ec2.internal",))
    assert resolv_conf(Pod("p", PodTemplate("shop")), cluster).search[-2:] == ("cluster.local", "ec2.internal")
    default = Pod("p", PodTemplate("shop", dns_policy="Default"))
    assert resolv_conf(default, cluster).search == ("ec2.internal",)


def test_host_aliases_of_any_pod() -> None:
    aliases = (("10.9.9.9", ("db.example", "db")), ("fd00::9", ("db",)), ("127.0.0.1", ("p",)))
    own = Pod("p", PodTemplate("shop", host_aliases=aliases), addresses=("10.1.1.2",))
    hosts = resolv_conf(own, Cluster()).hosts
    assert (hosts["db"], hosts["db.example"], hosts["p"]) == (
        ("10.9.9.9", "fd00::9"), ("10.9.9.9",), ("10.1.1.2", "127.0.0.1"),
    )  # fmt: skip
    on_host = Pod("agent", PodTemplate("shop", host_network=True, host_aliases=aliases))
    assert resolv_conf(on_host, Cluster()).hosts["db"] == ("10.9.9.9", "fd00::9")


def test_hosts_file() -> None:
    stateful = Pod("db-0", PodTemplate("shop", subdomain="db"), addresses=("10.1.1.2",), hostname="db-0")
    made = resolv_conf(stateful, Cluster())
    assert made.hosts["db-0"] == made.hosts["db-0.db.shop.svc.cluster.local"] == ("10.1.1.2",)
    on_host = Pod("agent", PodTemplate("shop", host_network=True), addresses=("192.168.0.9",))
    assert "agent" not in resolv_conf(on_host, Cluster()).hosts

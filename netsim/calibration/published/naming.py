"""Questions about cluster DNS: queries a second, what a lookup costs in queries, memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.case import Row
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Cost, Untimed
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.testbed import SOCKETS
from netsim.cluster.dns.records import Record, Response
from netsim.cluster.resolver import ADDRESS_TYPES, Query, ResolverConfig, new_lookup, walk
from netsim.datapath.types import Role
from netsim.engine.kernel.sockets import DATAGRAMS
from netsim.errors import InputError, Place

CLUSTER_SEARCH = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local")
"""Search domains kubelet gives a pod."""


def queries_of(setting: Setting) -> int:
    """Return how many queries a lookup takes: the model's own resolver, asked for a name that only exists as it is.

    ``search`` is the number of search domains (the cluster's three and the node's), ``records`` the types asked for,
    ``ndots`` as in the pod's configuration, ``name`` says whether it is an external name or one of the cluster.
    """
    if "on" in setting.text("autopath"):
        return 1
    config, types = resolver_config(setting), types_of(setting)
    asked, real = _asked(setting)

    def network(query: Query) -> Response:
        if query.name.rstrip(".") != real.rstrip("."):
            return Response("NXDOMAIN")
        data = "192.0.2.10" if query.type == "A" else "2001:db8::10"
        return Response(answers=(Record(query.name, query.type, 30, data),))

    return len(walk(new_lookup("glibc", config, asked, types), network).exchanges)


def types_of(setting: Setting, default: str = "A") -> tuple[str, ...]:
    """Return the types of records a row's resolver asks for."""
    stated = re.findall(r"[A-Z]+", setting.text("records", default).upper())
    return tuple(part for part in stated if part in ADDRESS_TYPES) or ("A",)


def _asked(setting: Setting) -> tuple[str, str]:
    """Return the name a program asks for and the one that exists: ``svc``, ``svc.ns``, ``svc.ns.svc``, a full one."""
    name = setting.text("name", "external").lower().replace("service", "svc").replace("namespace", "ns")
    full = f"web.{CLUSTER_SEARCH[0]}"
    if re.search(r"fqdn|fully|absolute|cluster\.local", name):
        ends = name.endswith(".") or re.search(r"(with|trailing|final)[- _](a )?dot|absolute", name) is not None
        return (f"{full}." if ends else full), f"{full}."
    if name.startswith(("internal", "in-cluster", "svc", "short")):
        return ".".join(full.split(".")[: max(1, len(re.findall("svc|ns", name)))]), f"{full}."
    return EXTERNAL_NAME, f"{EXTERNAL_NAME}."


EXTERNAL_NAME = "www.example.com"


def resolver_config(setting: Setting) -> ResolverConfig:
    """Return the ``resolv.conf`` of a row's pod; a search list longer than the cluster's is the node's."""
    domains = setting.count("search", len(CLUSTER_SEARCH))
    more = tuple(f"zone{index}.example" for index in range(max(0, domains - len(CLUSTER_SEARCH))))
    timers = {"attempts": "attempts", "timeout": "timeout_s"}
    stated = (f"{option}:{setting.count(key)}" for option, key in timers.items() if key in setting)
    options = (f"ndots:{setting.count('ndots', 5)}", *stated)
    return ResolverConfig(("10.96.0.10",), (*CLUSTER_SEARCH, *more)[:domains], options)


SERVERS = {"coredns": "dns.query", "skydns": "dns.query", "unbound": "dns.query.native", "dnsmasq": "dns.query.native",
           "bind": "dns.query.native", "kube-dns": "dns.query.native"}  # fmt: skip
"""What a query costs which server: those in Go, with collector and scheduler, and those in C."""
BEHIND = {"kube-dns": "dns.query"}
"""Servers that are two: dnsmasq has the cache, and asks one in Go for what is not in it."""


def query_seconds(bench: Bench, setting: Setting) -> float:
    """Return a server's CPU time for a query: its own work, an exchange more for what it forwards, the answer's way.

    The answer leaves through the server's own network namespace and node, on its account. Where the server follows the
    search path itself (autopath), it looks up each name before the one that exists.

    Raises
    ------
    InputError
        When the server is none of those the profile has a price for.
    """
    server = _server(setting)
    key = SERVERS.get(server)
    if key is None:
        raise InputError("no price for this DNS server", place=Place(field="configuration.server"), got=server,
                         allowed=", ".join(SERVERS))  # fmt: skip
    work = bench.figure(key)
    if forwards(setting):
        work += bench.figure("dns.forward") / _served_by_an_exchange(server, setting)
        work += bench.figure(BEHIND[server]) if server in BEHIND else 0.0
    if setting.text("upstream_sockets").startswith("new"):
        work += bench.figure("dns.socket")
    if "on" in setting.text("autopath"):
        work += (queries_of(setting.but(autopath="off", records="A")) - 1) * bench.figure("dns.lookup")
    ends = {key: value for key, value in SERVED.items() if key not in setting}
    way = bench.ways(setting.but(**ends), protocol="UDP").reply
    return work + way.on(Role.SENDER_CORE, ANSWER_BYTES, skip=SOCKETS)


def forwards(setting: Setting) -> bool:
    """Tell whether a server asks another one for each query."""
    return setting.text("cache") in ("off", "miss") or setting.text("plugin") == "forward"


def _server(setting: Setting) -> str:
    """Return a server's name, without its release; the cache of a node is CoreDNS, ``named`` is BIND."""
    name = re.split(r"[\s:/_-]*v?\d", setting.text("server", "coredns").lower().strip())[0]
    for words, known in ((r"node-?local-?(?:dns|dns-?cache|cache)?", "coredns"), (r"named|bind", "bind")):
        name = known if re.fullmatch(words, name) else name
    return name


def _served_by_an_exchange(server: str, setting: Setting) -> int:
    """Return how many queries one exchange with an upstream server answers.

    Recursors attach a query to the exchange for its name that is already on its way (Unbound ``mesh_new_client``, BIND
    ``fetchctx``), so where all queries ask for one name, all that wait share it.
    """
    one_name = setting.text("query").lower().startswith(ONE_NAME)
    return setting.count("outstanding", OUTSTANDING) if one_name and server in RECURSORS else 1


RECURSORS, ONE_NAME = ("unbound", "bind"), ("single", "nxdomain")
SERVED = {"cni": "kubenet", "path": "pod-pod-cross-node"}
"""Where a server and its clients are unless a row says otherwise."""
ANSWER_BYTES = 120


OUTSTANDING = 100
"""Queries that dnsperf keeps on their way (-q)."""


def side_by_side(bench: Bench, setting: Setting) -> float:
    """Return how many servers share the work: replicas, less what readers of one socket lose to each other.

    A server listens on several sockets of one address (``SO_REUSEPORT``), each with a reader of its own. Releases that
    handed sockets over at a reload left the readers on one, whose queue and lock they share.
    """
    readers = setting.count("listen_sockets")
    lost = bench.figure("contention.tracked") * (readers - 1) if "reload" in setting.text("after") else 0.0
    return setting.positive("replicas") / (1 + lost)


@dataclass(frozen=True, slots=True)
class QueryRate:
    """Queries a second a server answers: its processors over the CPU time of a query. A lookup is several queries.

    Servers in C have one thread unless told otherwise; those in Go one reader for each socket they listen on, which
    takes its part of every query before others can. A saturated server's rate is work alone, so a baseline row measures
    the machine.
    """

    per_lookup: bool = False
    per_core: bool = False
    kind: str = "query-rate"
    calibrates: int = 3

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return CPU time of a query over processors, or over the share of one that a limit leaves; or one thread's."""
        side_by_side(bench, setting)  # refuses what is none
        cores = self._cores(bench, setting)
        limit = setting.text("cpu")
        if limit:
            share = setting.positive("cpu") * (1e-3 if limit.endswith("m") else 1.0)
            cores = min(cores, share)
        whole = query_seconds(bench, setting)
        return Cost(max(whole / cores, self._alone(bench, setting, whole) / min(1.0, cores)))

    def _cores(self, bench: Bench, setting: Setting) -> float:
        usual = 1 if self.per_core else bench.hardware.cores
        return setting.positive("vcpu", setting.positive("cores", usual))

    @staticmethod
    def _alone(bench: Bench, setting: Setting, whole: float) -> float:
        """Return the part of a query's time that one thread has to itself."""
        server = _server(setting)
        if SERVERS.get(server) != "dns.query.native":
            return bench.figure("dns.reader") / max(1, setting.count("listen_sockets", 1))
        return whole - (bench.figure(BEHIND[server]) if server in BEHIND and forwards(setting) else 0.0)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return the time between two queries of one server."""
        per = (queries_of(row.setting) if self.per_lookup else 1) * self._cores_in_one(bench, row.setting)
        return side_by_side(bench, row.setting) / (row.quantity.si * per)

    def _cores_in_one(self, bench: Bench, setting: Setting) -> float:
        return self._cores(bench, setting) if self.per_core else 1.0

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always."""
        return True

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return queries or lookups a second."""
        rate = side_by_side(bench, setting) / seconds / self._cores_in_one(bench, setting)
        return Answer(rate / (queries_of(setting) if self.per_lookup else 1))


@dataclass(frozen=True, slots=True)
class QueryCpu:
    """Processors that a server keeps busy with a steady rate of queries, ``qps``."""

    kind: str = "query-cpu"
    calibrates: int = 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return a query's CPU time."""
        setting.positive("qps", 0.0)
        return Cost(query_seconds(bench, setting))

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return CPU seconds of one query."""
        return row.quantity.si * self._unit(bench, row.quantity.dimension) / row.setting.positive("qps")

    @staticmethod
    def _unit(bench: Bench, dimension: Dimension) -> float:
        return float(bench.hardware.cores) if dimension == "share" else 1.0

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always."""
        return True

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return busy processors, or their share of the machine."""
        return Answer(seconds * setting.positive("qps") / self._unit(bench, dimension))


@dataclass(frozen=True, slots=True)
class QueryTime:
    """Time of a query or lookup at saturation: as many are on the way whatever the rate (Little's law: N / rate).

    A baseline row gives the time itself, or the rate, of which the time of ``outstanding`` queries follows. Percentiles
    are those of a gamma distribution about that mean, whose shape is in the cost profile: queries served strictly in
    turn would all wait equally, queries that share the processors would wait exponentially.
    """

    per_lookup: bool = False
    percentile: float | None = None
    kind: str = "query-time"
    stands_in: str = "query-rate"
    calibrates: int = 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the server's time for a query."""
        return QueryRate().cost(bench, setting)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return the time of one query."""
        return row.quantity.si / (queries_of(row.setting) if self.per_lookup else 1)

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always."""
        return True

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the time of the queries of a lookup, one after the other."""
        waiting = 1 if any(bench.baselines(self.kind)) else setting.count("outstanding", OUTSTANDING)
        spread = 1.0 if self.percentile is None else spread_at(self.percentile, bench.figure("dns.waiting_shape"))
        return Answer(seconds * waiting * spread * (queries_of(setting) if self.per_lookup else 1))


def spread_at(share: float, shape: float) -> float:
    """Return a quantile over the mean of a gamma distribution."""
    from scipy.special import gammaincinv

    return float(gammaincinv(shape, share)) / shape


@dataclass(frozen=True, slots=True)
class Lost(Untimed):
    """Queries lost by a generator that waits for answers: none, while fewer are on their way than a socket holds."""

    kind: str = "lost"
    calibrates: int = 0

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the queries that find the server's receive buffer full."""
        waiting = setting.count("outstanding", OUTSTANDING)
        return Answer(max(0.0, waiting - DATAGRAMS), waiting <= DATAGRAMS, "fewer than a socket holds")


@dataclass(frozen=True, slots=True)
class QueryCount(Untimed):
    """Queries of one lookup, or those of them that find nothing (``wasted``)."""

    wasted: bool = False
    kind: str = "query-count"
    calibrates: int = 0

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the count."""
        return Answer(float(queries_of(setting) - (len(types_of(setting)) if self.wasted else 0)))

"""Where tools and kernel spend the time of a large rule set: profiles of nft and iptables-nft-restore (root, perf)."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from netsim.calibration.kernel.syncs import iptables_table, nft_table

HERTZ = 500
NAMESPACE = "rule-commits"
WALK = ("__nft_set_trans_bind",)
PAIRS = (
    "nf_tables_newset", "nft_set_lookup_global", "vsscanf", "sscanf", "simple_strntoull", "_parse_integer_limit",
    "strlen", "nla_strcmp",
)  # fmt: skip
NAMES = ("__strcmp_avx2", "__strcmp_sse2", "__strcmp_evex")
SHARED = ("nat-prerouting", "mark-for-masquerade")


def written_again(text: str) -> str:
    """Return a transaction that empties every chain of an nft table and the map of Services, and writes them anew."""
    lines = []
    for line in text.splitlines():
        if any(name in line.split()[:5] for name in SHARED):
            continue
        lines.append(line)
        if line.startswith("add chain"):
            lines.append(line.replace("add", "flush", 1))
        elif line.startswith("add map"):
            lines.append("flush map ip kube-proxy service-ips")
    return "\n".join([*lines, ""])


def with_hashes(text: str) -> str:
    """Return an iptables table with names of chains like kube-proxy's, in no order."""
    return re.sub(
        r"(KUBE-(?:SVC|SEP)-)[0-9A-F]{16}",
        lambda found: found[1] + hashlib.sha256(found[0].encode()).hexdigest()[:16].upper(),
        text,
    )


def profile(command: str, text: str, folder: Path) -> dict[str, float]:
    """Return the seconds a command spends in each function over a table, all of them under ``total``."""
    table, data = folder / "table", folder / "perf.data"
    table.write_text(text)
    subprocess.run(
        f"perf record -q -e cpu-clock -F {HERTZ} -o {data} ip netns exec {NAMESPACE} sh -c '{command} < {table}'",
        shell=True, check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    report = subprocess.run(
        f"perf report -i {data} --stdio --sort sym --show-nr-samples",
        shell=True, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, float] = {"total": 0.0}
    for _, samples, name in re.findall(r"^\s*([\d.]+)%\s+(\d+)\s+\[.\]\s+([^\s.]+)", report.stdout, re.MULTILINE):
        found["total"] += int(samples) / HERTZ
        found[name] = found.get(name, 0.0) + int(samples) / HERTZ
    return found


def main(sizes: list[str]) -> None:
    """Print what each table takes, anew and again."""
    for size in sizes:
        services, endpoints = map(int, size.split(","))
        nft = nft_table(services, endpoints)
        old = with_hashes(iptables_table(services, endpoints).text)
        restore = "iptables-nft-restore --noflush"
        jobs = (("nft -f -", nft.text, written_again(nft.text)), (restore, old, old))
        for command, *texts in jobs:
            subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
            try:
                with tempfile.TemporaryDirectory() as folder:
                    for when, text in zip(("anew", "again"), texts, strict=True):
                        spent = profile(command, text, Path(folder))
                        walk, pairs, names = (sum(spent.get(n, 0.0) for n in part) for part in (WALK, PAIRS, NAMES))
                        what = f"{size:>10} {command.split()[0]:<21} {when:<6} lines {text.count(chr(10)):>7}"
                        parts = f"walks {walk:.2f}, pairs {pairs:.2f}, names {names:.2f}"
                        print(f"{what} total {spent['total']:.2f} s, {parts}")
            finally:
                subprocess.run(["ip", "netns", "del", NAMESPACE], check=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["1000,2", "2000,2"])

# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Capacity, and what to change first
#
# How much load does a small application carry before its objective breaks, what stops it, what comes next, and which
# change helps most? `netsim capacity --what-if`, in Jupyter. The budget is small: the notebook runs in a minute.

# %%
import matplotlib.pyplot as plt
import pandas as pd

import netsim
from netsim.analysis.capacity import capacity
from netsim.analysis.whatif import what_if
from netsim.scenario import build

scenario = build(
    {
        "name": "front-end",
        "cluster": {"synthetic": {"nodes": 2, "pods_per_node": 3, "services": 2}, "machine": {"cores": 4}},
        "network": {"plugin": "flannel-vxlan", "proxy": "iptables"},
        "traffic": [{"from": "all", "to": "service-1", "rate": "40/s", "work": {"exponential": "500us"}}],
        "run": {"transactions": 300, "replications": 3},
        "what_if": {
            "traffic.connection": ["keep-alive"],
            "network.proxy": ["ipvs"],
            "network.plugin": ["calico-bgp"],
            "dns.fqdn": [True],
        },
        "slo": ["p90<5ms"],
    }
)
answer = capacity(scenario, tolerance=0.3, budget=6)
print(f"{answer.found.outcome}: {answer.found.value:.0f}/s a pod, {answer.headroom:.1f} times the present load")
print(f"stopped by: {answer.cause.text}")
if answer.following is not None and answer.following.cause is not None:
    print(f"next, {answer.following.how}: {answer.following.found.value:.0f}/s, {answer.following.cause.text}")

# %% [markdown]
# Every step of the search, with what was found there:

# %%
steps = pd.DataFrame(answer.to_dict()["steps"])
steps["p90_ms"] = [figures.get("latency p90", float("nan")) for figures in steps.pop("figures")]
steps["p90_ms"] *= 1e3
steps

# %%
figure, axes = plt.subplots(figsize=(6, 3.2))
for verdict, rows in steps.dropna(subset="p90_ms").groupby("verdict"):
    axes.scatter(rows.value, rows.p90_ms, label=verdict)
axes.axhline(5.0, linestyle="--", color="grey")
axes.set(xscale="log", yscale="log", xlabel="requests a second and pod", ylabel="p90 (ms)")
axes.legend()
plt.show()

# %% [markdown]
# Alternatives, one at a time, with the same random numbers, the best first; the ratio is the figure with the change
# over the figure without.

# %%
found = what_if(scenario, replications=3)
effects = pd.DataFrame(effect.to_dict() for effect in found.effects)
effects

# %%
figure, axes = plt.subplots(figsize=(6, 3.2))
errors = [effects.ratio - effects.ci_low, effects.ci_high - effects.ratio]
axes.errorbar(effects.ratio, effects.change, xerr=errors, fmt="o", capsize=3)
axes.axvline(1.0, linestyle="--", color="grey")
axes.set(xlabel="p90 with the change / without")
axes.invert_yaxis()
plt.show()

# %% [markdown]
# What limits it does not show in a short run alone: tables that fill over minutes, address ranges, quotas.

# %%
limits = pd.DataFrame(netsim.inspect.limits(scenario).to_dict()["limits"])
limits["share"] = limits.used / limits.limit
limits.sort_values("share", ascending=False).head(6)[["name", "used", "limit", "unit", "share", "reached_at", "then"]]

# %%
now = netsim.run(scenario)
now

# %%
now.plot_hops()

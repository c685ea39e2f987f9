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
# # Analyse a sweep
#
# Services by kube-proxy mode (`experiments/services-by-proxy`): how does the time to open a connection grow with the
# number of Services? Everything a sweep finds is a tidy table, so the questions are pandas one-liners.
#
# The budget is small, so that the notebook runs in a minute.

# %%
import matplotlib.pyplot as plt

import netsim
from netsim.analysis.growth import growth

scenario = netsim.load(
    "../experiments/services-by-proxy/scenario.yaml",
    {
        "run.transactions": 100,
        "run.replications": 3,
        "sweep": {"network.proxy": ["iptables", "ipvs"], "cluster.synthetic.services": [100, 1000, 4000]},
    },
)
result = netsim.sweep(scenario)
result

# %% [markdown]
# One row a point, scope, metric and statistic, with interval and number of samples. The users' figures:

# %%
users = result.figures.query("scope == 'scenario' and metric == 'connect' and stat == 'p50'")
wide = users.pivot(index="cluster.synthetic.services", columns="network.proxy", values="value") * 1e6
wide.round(1)

# %% [markdown]
# With intervals, as a chart:

# %%
figure, axes = plt.subplots(figsize=(6, 3.2))
for proxy, rows in users.groupby("network.proxy"):
    half = (rows.ci_high - rows.ci_low) / 2
    axes.errorbar(rows["cluster.synthetic.services"], rows.value * 1e6, half * 1e6, marker="o", capsize=3, label=proxy)
axes.set(xscale="log", yscale="log", xlabel="Services", ylabel="median time to connect (µs)")
axes.legend()
plt.show()

# %% [markdown]
# How does it grow? The exponent over the last step, with its interval over replications: 1 is in proportion.

# %%
for proxy in ("iptables", "ipvs"):
    grown = growth(result, "connect", "p50", over="cluster.synthetic.services", where={"network.proxy": proxy})
    print(f"{proxy:9} {grown.last.value:5.2f} ({grown.last.low:.2f} to {grown.last.high:.2f}): {grown.order}")

# %% [markdown]
# Why? Work per transaction, hop by hop, from the same table: the translation of Services is what grows.

# %%
hops = result.figures.query("scope == 'hop' and metric == 'hop_time'")
hops = hops.pivot_table(index="name", columns=["network.proxy", "cluster.synthetic.services"], values="value") * 1e6
hops.sort_values(("iptables", 4000), ascending=False).head(6).round(2)

# %%
result.plot_hops()

# %% [markdown]
# The samples themselves are there, too: distributions, not just quantiles.

# %%
samples = result.samples
figure, axes = plt.subplots(figsize=(6, 3.2))
for services, rows in samples[samples["network.proxy"] == "iptables"].groupby("cluster.synthetic.services"):
    axes.ecdf(rows.connect_s.dropna() * 1e6, label=f"{services:,} Services")
axes.set(xscale="log", xlabel="time to connect (µs)", ylabel="share of transactions")
axes.legend()
plt.show()

# %%
samples.groupby(["network.proxy", "cluster.synthetic.services"])["latency_s"].describe(percentiles=[0.5, 0.9]) * 1e6

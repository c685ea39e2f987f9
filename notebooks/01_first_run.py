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
# # A first run
#
# The question of `experiments/cluster-size`, in Jupyter: a ticket shop runs on ten nodes; as the platform grows, every
# ten nodes bring one more shop. Where do p99 and throughput per pod go under each network plugin and service mode, and
# why?
#
# The budget here is small, so that the notebook runs in a minute: fewer sizes, fewer transactions, two plugins. Widen
# it below and run again.

# %%
import pandas as pd

import netsim

scenario = netsim.load(
    "../experiments/cluster-size/scenario.yaml",
    {
        "run.transactions": 100,
        "run.replications": 3,
        "sweep": {
            "network.plugin": ["kubenet", "cilium-vxlan"],
            "network.proxy": ["iptables", "ebpf"],
            "cluster.nodes": [10, 40],
        },
    },
)
result = netsim.sweep(scenario)
result

# %% [markdown]
# The answer stands on top, then a row a point. Everything behind it is a tidy table: one row a point, scope, metric and
# statistic, with its interval.

# %%
figures = result.figures
figures[(figures.scope == "scenario") & (figures.metric == "latency") & (figures.stat == "p99")]

# %%
result.plot_latency("p90")

# %%
result.plot_throughput()

# %% [markdown]
# Where does the time go? The work of all packets of a transaction, hop by hop, without waiting.

# %%
result.plot_hops()

# %% [markdown]
# The samples themselves: every recorded transaction, with the time of its name resolution, connection and request.

# %%
samples = result.samples
samples.groupby(["cluster.nodes", "edge"], observed=True)[["latency_s", "dns_s", "connect_s"]].median() * 1e6

# %% [markdown]
# No clock is needed to see what a packet meets. One direction, the first packet of a flow, from a gateway pod to a
# Service of its shop:

# %%
path = netsim.inspect.path(scenario, "boxoffice/gateway-0", "boxoffice/search:8080").to_dict()
pd.DataFrame(path["forward"]["first"]["hops"])[["hop", "node", "station", "cost_s", "bytes", "src", "dst"]]

# %% [markdown]
# What cannot exist is an answer too: Kubenet has no eBPF services, and its routes end with the cloud's table.

# %%
pd.DataFrame(result.unmeasured())

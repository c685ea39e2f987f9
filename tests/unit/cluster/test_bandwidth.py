"""Bandwidth annotations: what a pod may ask for, and where it ends up."""

from __future__ import annotations

from pathlib import Path

import pytest

import netsim
from netsim.cluster.bandwidth import pod_bandwidth, quantity
from netsim.errors import InputError

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: api, namespace: shop}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: api}}}}
  template:
    metadata:
      labels: {{app: api}}
      annotations: {{kubernetes.io/ingress-bandwidth: {ingress}, kubernetes.io/egress-bandwidth: 500k}}
    spec: {{containers: [{{name: api, image: api}}]}}
"""


def test_a_pod_carries_its_rates(tmp_path: Path) -> None:
    file = tmp_path / "api.yaml"
    file.write_text(DEPLOYMENT.format(ingress="10M"))
    pods = [pod for pod in netsim.load_cluster(file).pods if pod.namespace == "shop"]
    assert [(pod.template.ingress_bps, pod.template.egress_bps) for pod in pods] == [(10_000_000, 500_000)] * 2
    file.write_text(DEPLOYMENT.format(ingress="999n"))
    with pytest.raises(InputError, match=r"template\.metadata\.annotations\[kubernetes.io/ingress.*small"):
        netsim.load_cluster(file)


def test_bandwidth_annotations() -> None:
    asked = {"kubernetes.io/ingress-bandwidth": "10M", "kubernetes.io/egress-bandwidth": "1Gi"}
    assert pod_bandwidth(asked) == (10_000_000, 2**30)
    assert pod_bandwidth({}) == (None, None)
    for text, message in (("500", "unreasonably small"), ("2P", "unreasonably large"), ("fast", "quantities must")):
        with pytest.raises(InputError, match=message):
            pod_bandwidth({"kubernetes.io/ingress-bandwidth": text})


@pytest.mark.parametrize(
    ("text", "value"), [("1k", 1000), ("1Ki", 1024), ("1.5M", 1_500_000), ("100m", 1), ("2e3", 2000), ("1E", 10**18)]
)
def test_quantities(text: str, value: int) -> None:
    assert quantity(text) == value

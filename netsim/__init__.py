"""netsim: a discrete-event performance model of Kubernetes cluster networking."""

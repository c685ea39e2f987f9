"""Measuring this machine's kernel: namespaces, inline probes, prices with intervals, and random paths to test them."""

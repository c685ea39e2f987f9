"""Kubernetes objects from YAML and JSON: documents, one reader a kind, and the inventory they fill."""

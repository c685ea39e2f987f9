"""What exists: objects, manifests, addresses, DNS, policies, service rules. No clock, no cost."""

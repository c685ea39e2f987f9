"""What a node's kernel holds beside its queues: tables with limits, buffers, quotas and rate limits."""

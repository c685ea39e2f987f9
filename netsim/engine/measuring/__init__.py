"""What a run writes down: samples, scalars, work per hop, parts of a transaction's time."""

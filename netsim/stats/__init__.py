"""Statistics of replications: estimates with intervals, warm-up, quantiles, stopping, families of tests, rare tails."""

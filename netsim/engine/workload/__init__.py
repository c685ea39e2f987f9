"""Who asks for what: arrivals, calls, streams, look-ups and the DNS clients."""

"""Time: clock, stations, bursts, transports, name resolution, workloads, one replication."""

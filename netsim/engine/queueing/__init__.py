"""Time and what bursts queue for: the clock, stations, bursts, and what happens to a station that fails."""

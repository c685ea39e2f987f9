"""TCP, UDP and the ways their bursts take."""

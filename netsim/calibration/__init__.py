"""Measuring this machine's kernel, and predicting published measurements."""

"""Draws that are the same on every machine: named counter-based streams."""

"""The traffic of clients nobody follows, and which are followed."""

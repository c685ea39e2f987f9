"""ExternalDNS: the records it publishes, and how late they are at each provider."""

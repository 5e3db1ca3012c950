"""PowerDNS authoritative server, by its HTTP API: source and destination."""

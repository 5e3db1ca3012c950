"""Any DNS server on port 53: read by zone transfer, written by dynamic updates (RFC 2136)."""

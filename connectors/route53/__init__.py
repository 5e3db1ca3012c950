"""Amazon Route 53, by its HTTP API: source and destination of DNS zones."""

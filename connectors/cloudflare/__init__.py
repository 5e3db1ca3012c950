"""Cloudflare, by its HTTP API: source and destination of DNS zones."""

"""Zammad: source and destination by its REST API (v1), and its dialect of rules."""

"""Chatwoot: so far its dialect of rules; how to talk to it comes with its connector."""

"""Plesk, by its XML API: one subscription to move into, or to leave."""

"""Virtualmin, by its remote API: a hosting account to move into, or to leave."""

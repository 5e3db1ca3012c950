"""A DirectAdmin account, read by its legacy API on port 2222."""

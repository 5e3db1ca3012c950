"""Request Tracker 5 (Best Practical), by REST 2, its own import file, and its database."""

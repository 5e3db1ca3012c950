"""ISPConfig, by its remote JSON API: a hosting account to move into, or to leave."""

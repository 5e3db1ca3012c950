"""cPanel, by its UAPI: a hosting account to leave."""

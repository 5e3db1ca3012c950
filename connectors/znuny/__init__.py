"""Znuny 6.5 (the free OTRS): its web service, its own Perl modules, and its database."""

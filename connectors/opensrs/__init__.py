"""OpenSRS, by its XML API and its mail API: registered domains, DNS zones and hosted mail."""

"""Any octoDNS provider that is installed beside migrator: source and destination of zones, for the long tail."""

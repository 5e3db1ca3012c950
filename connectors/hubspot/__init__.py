"""HubSpot: its workflows only."""

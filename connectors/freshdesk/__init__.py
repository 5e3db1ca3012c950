"""The connector of Freshdesk: see connector.yaml."""

"""The connector of Zendesk: see connector.yaml."""

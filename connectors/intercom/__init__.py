"""Intercom: its workflows only, as far as the export gives them."""

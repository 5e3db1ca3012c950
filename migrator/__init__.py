"""migrator moves a customer's data and customizations from one vendor to another."""

__version__ = "0.1.0"

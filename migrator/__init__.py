"""migrator moves a customer's data and customizations from one vendor to another."""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())  # whoever runs us says where logs go

__version__ = "0.1.0"

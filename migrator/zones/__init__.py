"""DNS, whoever holds it: record sets in one normal form, the wire they are read from, and an account that has zones."""

"""Rules of a help desk in nobody's vendor words: conditions, actions, templates; their meaning, verdicts and proof.

A vendor's dialect (``connectors/<vendor>/rules.py``) reads its rules into these types and writes them from these.
"""

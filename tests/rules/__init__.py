"""Rules: read, written, translated, and held against models of the engines."""

"""The test kit: sandboxes, recordings and the conformance suite, importable by other people's connectors."""

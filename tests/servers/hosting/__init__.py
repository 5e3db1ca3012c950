"""One job over several connectors, from true servers to true servers."""

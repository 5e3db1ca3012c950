"""Zone files (RFC 1035 master files) in a folder: source and destination."""

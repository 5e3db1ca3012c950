"""SFTP: trees of files on any server with SSH."""

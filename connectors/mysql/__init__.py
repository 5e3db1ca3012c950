"""MySQL and MariaDB: databases, their users and grants."""

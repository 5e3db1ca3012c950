"""Jira Service Management: its automation rules only."""

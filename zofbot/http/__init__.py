"""Endpoints: HTTP for Slack and Zof, Socket Mode, and their request limits."""

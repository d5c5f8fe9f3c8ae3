"""Outbound speech: what the bot says in Slack, and how it gets there."""

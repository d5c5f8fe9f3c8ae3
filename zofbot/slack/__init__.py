"""Slack: the Web API client, cached lookups, parsing of payloads, and views."""

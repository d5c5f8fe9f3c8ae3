"""Notifications as data: built by the alerting rules, rendered by the Slack views."""

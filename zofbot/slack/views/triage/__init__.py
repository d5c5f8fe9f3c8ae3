"""Triage as Slack shows it: controls under an alert, forms, and private replies."""

"""Delivery from the outbox to Slack: claim notifications, attempt to send them, settle the results."""

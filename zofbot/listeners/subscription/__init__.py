"""Subscriptions: commands, form and preview."""

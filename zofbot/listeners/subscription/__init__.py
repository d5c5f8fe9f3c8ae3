"""Subscriptions: the form, the preview, and what is typed."""

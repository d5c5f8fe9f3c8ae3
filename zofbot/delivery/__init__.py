"""Delivery from the outbox to Slack: claim notifications, attempt to send them, settle the results.

The pace of a channel and the states of a notification are kept where they change atomically: ``store/outbox.py`` and
its scripts in ``store/lua``.
"""

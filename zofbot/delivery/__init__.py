"""Delivery from the outbox to Slack: claim notifications, attempt to send them, settle the results.

The pace of a channel (``store/channel_pace.py``) and the states of a notification (``store/outbox.py``) are kept where
they change atomically: by the scripts in ``store/lua``.
"""

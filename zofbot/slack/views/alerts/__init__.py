"""Alerts as they look in a channel: cards, the replies in their threads, storms, and the catch-up."""

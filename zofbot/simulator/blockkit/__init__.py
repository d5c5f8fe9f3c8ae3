"""Validation of blocks, texts and mentions as Slack does it."""

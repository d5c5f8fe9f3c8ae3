"""A file for each message, form or tab that Slack shows."""

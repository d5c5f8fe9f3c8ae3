"""What listens: HTTP for Slack and Zof, Socket Mode, and their limits."""

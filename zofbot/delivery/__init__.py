"""From the outbox into Slack: claims, attempts, what their answers mean."""

"""What Slack refuses of blocks, texts and mentions."""

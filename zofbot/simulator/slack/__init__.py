"""The simulated Slack: its state, its Web API, what it sends."""

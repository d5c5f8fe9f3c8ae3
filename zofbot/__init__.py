"""Join Zof's test runs and results to Slack: queries, alerts delivered exactly once, and triage in threads."""

__version__ = "0.1.0"

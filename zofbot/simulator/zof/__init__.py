"""The simulated Zof: its records, its REST API, its webhooks."""

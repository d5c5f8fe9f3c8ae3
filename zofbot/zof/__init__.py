"""The client of Zof's API and the parsing of its replies and webhooks."""

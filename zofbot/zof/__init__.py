"""The room that faces Zof's API: what its replies mean, and the one client that asks."""

"""Private replies that are not cards."""

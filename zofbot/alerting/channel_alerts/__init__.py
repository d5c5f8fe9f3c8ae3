"""Build the messages of one channel about a failed run, grouped by run, case or cause."""

"""App Home: what it shows, and what keeps it up to date."""

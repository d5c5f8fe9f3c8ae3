"""App Home: its data, its events, and its updates."""

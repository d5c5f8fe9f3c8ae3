"""App Home: its data, and each of its sections."""

"""What deserves a message, and what belongs together: pure rules."""

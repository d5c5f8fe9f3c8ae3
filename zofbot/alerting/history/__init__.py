"""What is remembered of causes and cases beyond single alerts: how often they failed, and how they were resolved."""

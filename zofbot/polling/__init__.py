"""Poll Zof: read what is new since the cursor, and the runs that webhooks announce."""

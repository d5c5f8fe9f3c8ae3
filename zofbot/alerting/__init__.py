"""Pure rules: decide what to post for a run, to which channels, and how alerts change later."""

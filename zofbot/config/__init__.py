"""Configuration: settings, the Slack app manifest, and secrets reloaded at run time."""

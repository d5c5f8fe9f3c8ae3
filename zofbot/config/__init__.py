"""Configuration: settings, the environment's proxy, the Slack app manifest, and secrets reloaded at run time."""

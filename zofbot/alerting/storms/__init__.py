"""Storms: too many alerts in a channel become one summary, which is triaged as one failure."""

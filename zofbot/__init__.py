"""Zof's runs and results in Slack: asked for, told once, worked on by people."""

__version__ = "0.1.0"

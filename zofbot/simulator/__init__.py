"""A pretend Slack and a pretend Zof, at least as strict as the real ones, for the tests and for `zofbot demo`.

:class:`~zofbot.simulator.world.World` is plain data, :func:`~zofbot.simulator.seed.furnish` fills it, and
:class:`~zofbot.simulator.server.Stage` serves it over HTTP. Nothing of the bot itself is imported here.
"""

"""A simulated Slack and Zof, at least as strict as the real ones, for the tests and for ``zofbot demo``.

:class:`~zofbot.simulator.world.World` is plain data, :func:`~zofbot.simulator.seed.seed_world` fills it, and
:class:`~zofbot.simulator.server.SimulatorServer` serves it over HTTP. Imports nothing of the bot itself.
"""

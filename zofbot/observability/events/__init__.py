"""Events: what happened, as frozen data.

The code that knows of it emits an event once, to ``EventEmitter``. Beside this folder, ``log_lines``,
``metric_updates`` and ``trace_steps`` each have one table that says what becomes of an event of each type.
"""

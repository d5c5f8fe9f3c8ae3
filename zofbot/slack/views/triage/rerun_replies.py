"""Private replies about runs ordered at Zof: reruns and cancellations."""

from __future__ import annotations

from zofbot.domain.model import Run
from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.slack.views.blocks import Message, build_button, button_row, context_block, section_block
from zofbot.slack.views.components import lookup_button
from zofbot.slack.views.outcomes import format_one_line
from zofbot.slack.views.triage.triage_status import (
    person_name,
)
from zofbot.triage import Rerun


def rerun_prompt(title: str, cases: int, environment: str, action: str, value: dict[str, str]) -> Message:
    """Ask for confirmation before starting a rerun in Zof."""
    where = f" in {text.escape_line(environment, 80)}" if environment else ""
    sentence = f"Re-run the failed cases of {text.escape_line(title, 150)}?"
    small = context_block(f"{count_noun(cases, 'case')}{where}. Starts one run, however often you click.")
    return Message(
        sentence,
        [section_block(f"🔁 {sentence}"), *button_row(build_button("Re-run failed cases", action, value)), small],
    )


def rerun_running_reply(title: str, rerun: Rerun, now: float) -> Message:
    """Reply that the failed cases are being rerun already."""
    which = f" in {text.inline_code(rerun.run)}" if rerun.run else ""
    since = text.describe_duration(max(1.0, now - rerun.at))
    sentence = f"{person_name(rerun.by.name)} is already re-running the failed cases of {text.escape_line(title, 150)}"
    row = button_row(lookup_button("View run", "zof_run", rerun.run, "View the run in progress"))
    return Message(
        sentence,
        [section_block(f"🔁 {sentence}{which}, started {since} ago. The result will be posted in the thread."), *row],
    )


def rerun_started_reply(title: str, run_id: str) -> Message:
    """Confirm that a rerun was started; without ``run_id``, its end cannot be observed."""
    sentence = f"Re-running the failed cases of {text.escape_line(title, 150)}"
    rest = (
        f" in {text.inline_code(run_id)}. The result will be posted in the thread."
        if run_id
        else ". Zof returned no run ID, so the result can't be posted here. Look for the run in Zof."
    )
    return Message(sentence, [section_block(f"🔁 {sentence}{rest}")])


def cancel_prompt(run: Run, action: str, value: dict[str, str]) -> Message:
    """Ask for confirmation before cancelling a run."""
    sentence = f"Cancel {format_one_line(run)}?"
    row = button_row(
        build_button("Cancel this run", action, value), lookup_button("View run", "zof_run", run.id, "View this run")
    )
    return Message(sentence, [section_block(f"✋ {sentence}"), context_block(text.inline_code(run.id)), *row])


def cancel_accepted_reply(run_id: str) -> Message:
    """Confirm that Zof accepted the cancellation."""
    sentence = "Zof is canceling run"
    return Message(sentence, [section_block(f"✋ {sentence} {text.inline_code(run_id)}.")])


def already_ended_reply(run: Run) -> Message:
    """Reply that the run to cancel had ended."""
    sentence = f"Already finished: {format_one_line(run)}"
    return Message(
        sentence,
        [section_block(f"💡 {sentence}"), *button_row(lookup_button("View run", "zof_run", run.id, "View this run"))],
    )

"""Listeners to rerun failed cases and to cancel runs: confirmed by a button, executed once."""

from __future__ import annotations

import hashlib
from typing import Any

from zofbot.domain.errors import BadInput, ZofError
from zofbot.domain.permissions import Role
from zofbot.listeners import lookups
from zofbot.listeners.buttons import parse_button_value
from zofbot.listeners.context import ListenerContext, Requester, requester_of
from zofbot.listeners.failure_lookup import load_failure, require_role
from zofbot.listeners.listener_table import IdempotentListener, ListenerTable
from zofbot.notifications import payload_parts
from zofbot.notifications.alert_payloads import CaseAlertPayload
from zofbot.services.failures import Failure, FailureExpired
from zofbot.services.run_command_records import CANCEL_PHRASE, RERUN_PHRASE, RunCommand
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.triage import rerun_replies, triage_replies
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.triage import Actor

RERUN_ACTION_ID, CANCEL_ACTION_ID = "zof_rerun", "zof_cancel"


def register_listeners(table: ListenerTable, context: ListenerContext) -> None:
    """Register the confirmation buttons."""

    async def handle_confirmation(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        requester, name = requester_of(body), str(parse_button_value(action).get("order") or "")
        tried = RERUN_PHRASE if action.get("action_id") == RERUN_ACTION_ID else CANCEL_PHRASE
        reply = await context.run_safely(
            _confirm_command(context, requester, name, tried)
        )  # stored before the acknowledgement
        await ack()
        if reply.failed:
            context.background_tasks.start(context.send_reply(requester, reply.message))
        else:
            context.reply_in_background(requester, _execute_command(context, name), replace=True)

    listener = IdempotentListener(handle_confirmation)
    table.actions[RERUN_ACTION_ID] = table.actions[CANCEL_ACTION_ID] = listener


async def propose_rerun(context: ListenerContext, requester: Requester, about: FailureRef) -> Message:
    """Ask for confirmation to rerun a failure's failed cases. Raises ZofbotError."""
    await require_role(context, requester, Role.OPERATOR, RERUN_PHRASE, about.key)
    try:
        failure = await load_failure(context, requester, about)
    except FailureExpired:
        return triage_replies.unknown_alert_reply(about.key)
    if running := await context.run_commands.active_rerun(failure.key):
        return rerun_replies.rerun_running_reply(failure.title, running, context.clock.time())
    order = await _build_rerun(context, failure)
    name = await _propose_command(context, requester, order)
    return rerun_replies.rerun_prompt(
        failure.title, len(order.cases), order.body.get("environment", ""), RERUN_ACTION_ID, {"order": name}
    )


async def propose_cancel(context: ListenerContext, requester: Requester, identifier: str) -> Message:
    """Ask for confirmation to cancel a run, showing it in case the id was mistyped. Raises ZofbotError."""
    await require_role(context, requester, Role.OPERATOR, CANCEL_PHRASE)
    run = await context.zof.get_run(identifier)
    if run.outcome.is_final:
        return rerun_replies.already_ended_reply(run)
    name = await _propose_command(context, requester, RunCommand(sort="cancel", channel=requester.channel, run=run.id))
    return rerun_replies.cancel_prompt(run, CANCEL_ACTION_ID, {"order": name})


async def _propose_command(context: ListenerContext, requester: Requester, order: RunCommand) -> str:
    """Store the command under a name derived from the request, so that a repeated request creates only one."""
    about = f"{order.sort}:{order.key or order.run}:{requester.request}"
    name = hashlib.blake2s(about.encode(), digest_size=16).hexdigest()
    await context.run_commands.propose_command(name, order)
    return name


async def _confirm_command(context: ListenerContext, requester: Requester, name: str, tried: str) -> Message:
    person = await require_role(context, requester, Role.OPERATOR, tried)
    await context.run_commands.confirm_command(
        name, Actor(id=requester.user, name=person.name or requester.name), requester.request, requester.channel
    )
    return Message("")


async def _execute_command(context: ListenerContext, name: str) -> Message:
    """Execute a command and report the result; if Zof refuses, abandon it so that the person can try again."""
    try:
        order, run = await context.run_commands.execute_command(name)
    except ZofError as error:
        await context.run_commands.abandon_command(name, error)
        raise
    if order.sort == "rerun":
        return rerun_replies.rerun_started_reply(order.title, run)
    return (
        rerun_replies.cancel_accepted_reply(run)
        if run
        else rerun_replies.already_ended_reply(await context.zof.get_run(order.run))
    )


async def _build_rerun(context: ListenerContext, failure: Failure) -> RunCommand:
    """Build the rerun command. Raises ZofError, and BadInput if Zof does not say which cases failed."""
    if not failure.body.run.id:
        raise BadInput("These alerts are from several runs.", "Re-run the cases in Zof.")
    run = await context.zof.get_run(failure.body.run.id)
    if isinstance(failure.body, CaseAlertPayload):
        bad = [await context.zof.get_result(failure.body.case.id)]
    else:
        bad, _ = await lookups.failed_results(context, run)
    named = {
        result.case_id: payload_parts.clean_text(result.title or result.case_id, 100)
        for result in bad
        if result.case_id
    }
    if not named or not run.project_id:
        raise BadInput("Zof didn't say which cases these are.", "Start the run in Zof.")
    where = {"environment": run.environment} if run.environment else {}
    body = {"project_id": run.project_id, **where, "test_case_ids": list(named)}
    return RunCommand(sort="rerun", channel=failure.channel, key=failure.key, title=failure.title, body=body,
                 cases=tuple(named.items()))  # fmt: skip

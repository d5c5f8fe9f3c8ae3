"""``mention:author`` and ``mention:owner``: those whom Slack finds are mentioned, where a subscription asks for it."""

from __future__ import annotations

from pathlib import Path

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, post_webhook, webhook_event
from zofbot.config.manifest import EMAIL_SCOPES, build_manifest
from zofbot.config.settings import Settings
from zofbot.diagnostics.slack import check_bot_token
from zofbot.simulator.slack.model import PostedMessage
from zofbot.slack.identity import BotIdentity


async def fail_cases(bot: RunningBot, author: str, owners: list[str], event: str) -> None:
    zof = bot.world.zof
    run = zof.start_run({"project_id": "proj_checkout", "name": "nightly", "git": {"author_email": author}})
    for number, owner in enumerate(owners):
        case = {"name": f"Case {number}", "test_case_id": f"tc_{event}_{number}", "failure_summary": "boom"}
        zof.add_result(run["id"], status="failed", owner=owner, **case)
    zof.finish_run(run["id"])
    assert await post_webhook(bot, webhook_event(run["id"], event)) == 200


def alerts_in(bot: RunningBot, channel: str) -> list[PostedMessage]:
    kinds = ("run:", "case:")
    return [m for m in bot.world.slack.ledger if m.channel == channel and (m.idempotency_key or "").startswith(kinds)]


def lookups_of(bot: RunningBot) -> int:
    return sum(call.method == "users.lookupByEmail" for call in bot.world.slack.calls)


async def test_authors_and_owners_are_found_and_only_where_that_is_asked_for(store_url: str, tmp_path: Path) -> None:
    owners = tmp_path / "OWNERS"
    owners.write_text("*/Case\\ 1 @acme/oncall-checkout\n", encoding="utf-8")
    async with alerting_bot(store_url, zofbot_owners_file=str(owners)) as bot:
        await bot.type_text("/zof subscribe on:failed", channel="C0SEARCH")
        await fail_cases(bot, "ana@acme.example", ["ben@acme.example"], "evt_0")
        await wait_until(lambda: len(alerts_in(bot, "C0SEARCH")) == 1)
        assert lookups_of(bot) == 0, "nobody asked for it"

        await bot.type_text("/zof subscribe mention:author", channel="C0QA")
        await bot.type_text("/zof subscribe group:case mention:owner", channel="C0CHECKOUT")
        await fail_cases(bot, "Ana@acme.example", ["ben@acme.example", "x", "gone@acme.example"], "evt_1")
        await wait_until(lambda: bool(alerts_in(bot, "C0QA")) and len(alerts_in(bot, "C0CHECKOUT")) == 3)
        assert "<@U0ANA>" in text_of(alerts_in(bot, "C0QA")[0])
        first = {m.text.partition("Failed: ")[2][:6]: m.text for m in alerts_in(bot, "C0CHECKOUT")}
        assert first["Case 0"].startswith("<@U0BEN> ")
        assert first["Case 1"].startswith("<!subteam^S0ONCALL> "), "the owners file counts, not Zof's owner"
        assert first["Case 2"].startswith("Failed"), "nobody has that address"
        shown = await bot.answer_text("/zof subscriptions", channel="C0CHECKOUT")
        assert "mention:owner" in shown


async def test_without_the_scope_alerts_come_without_the_mention(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        bot.world.slack.scopes.discard("users:read.email")
        await bot.type_text("/zof subscribe mention:author,<!subteam^S0ONCALL>", channel="C0QA")
        await fail_cases(bot, "ana@acme.example", [""], "evt_2")
        await wait_until(lambda: bool(alerts_in(bot, "C0QA")))
        (alert,) = alerts_in(bot, "C0QA")
        assert "<@U0ANA>" not in text_of(alert)
        assert "<!subteam^S0ONCALL>" in text_of(alert)


def test_the_scope_is_asked_for_only_where_it_is_used(tmp_path: Path) -> None:
    owners = tmp_path / "OWNERS"
    owners.write_text("* @oncall\n", encoding="utf-8")
    assert not Settings.model_validate({}).finds_people_by_email
    assert Settings.model_validate({"zofbot_owners_file": str(owners)}).finds_people_by_email
    (scope,) = EMAIL_SCOPES
    assert scope not in build_manifest()["oauth_config"]["scopes"]["bot"]
    assert scope in build_manifest(emails=True)["oauth_config"]["scopes"]["bot"]
    reply = BotIdentity(team="Acme", user="zofbot", bot="B1", scopes=frozenset())
    assert not any(scope in finding.about for finding in check_bot_token(reply))
    assert any(scope in finding.about for finding in check_bot_token(reply, emails=True))

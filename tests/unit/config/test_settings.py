"""Settings: every mistake in a sentence that names the variable, and no secret in any of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from zofbot.config.settings import Settings, load_settings
from zofbot.domain.errors import SettingsError

NEEDED = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "ZOF_API_KEY")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_what_is_missing_is_named_with_how_to_come_by_it() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(*NEEDED)
    assert [problem.split(" ")[0] for problem in caught.value.problems] == list(NEEDED)
    assert all(": " in problem for problem in caught.value.problems)


def test_socket_mode_needs_no_signing_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "ZOF_API_KEY"):
        monkeypatch.setenv(name, "something")
    assert load_settings(*NEEDED).uses_socket_mode


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ZOF_BASE_URL", "api.zof.ai", "a URL such as"),
        ("ZOF_BASE_URL", "https://u:p@api.zof.ai", "user name or password"),
        ("REDIS_URL", "localhost:6379", "redis://"),
        ("PORT", "http", "PORT is wrong"),
        ("PORT", "70000", "PORT is wrong"),
        ("ZOF_LIST_ORDER", "sideways", "ZOF_LIST_ORDER is wrong"),
        ("ZOF_RUN_URL_TEMPLATE", "https://zof.example/runs", "{run_id}"),
        ("ZOF_RESULT_URL_TEMPLATE", "http://zof.example/{result_id}", "https"),
        ("ZOF_RUN_URL_TEMPLATE", "https:///runs/{run_id}", "https URL"),
        ("ZOF_RUN_URL_TEMPLATE", "https://zof.example/{project_id}/runs/{run_id}", "no other placeholder"),
        ("ZOF_RESULT_URL_TEMPLATE", "https://zof.example/{run_id}/{result_id}", "no other placeholder"),
        ("ZOF_RESULT_URL_TEMPLATE", "https://zof.example/{result_id} ", "no other placeholder"),
        ("ZOF_LINK_HOSTS", "https://ci.example.com, zof.ai", "entry 1 is not a host name such as zof.ai"),
        ("ZOF_LINK_HOSTS", "zof.ai,*.example.com", "entry 2"),
        ("ZOF_LINK_HOSTS", ".example.com", "without https://, *, port or path"),
        ("ZOF_LINK_HOSTS", "ci.example.com:8443", "entry 1"),
        ("ZOF_LINK_HOSTS", "ci.example.com/logs", "entry 1"),
        ("ZOF_LINK_HOSTS", "ci.example.com zof.ai", "entry 1"),
        ("ZOF_LINK_HOSTS", "bücher.example", "entry 1"),
        ("ZOF_STATUS_PARAM", "status=", "query parameter"),
        ("ZOF_PROJECT_PARAM", "project id", "query parameter"),
        ("ZOF_SINCE_PARAM", "?since", "query parameter"),
        ("ZOF_WEBHOOK_SECRET_PREVIOUS", "old-secret", "ZOF_WEBHOOK_SECRET is empty"),
        ("REDIS_URL", "http://host", "redis+cluster://host:6379"),
        ("REDIS_URL", "redis+sentinel://host:26379", "service name"),
        ("ZOFBOT_NAMESPACE", "a b", "ZOFBOT_NAMESPACE is wrong"),
        ("ZOFBOT_RESPONDERS", "U0ANA, @ben", "entry 2 is not the ID"),
        ("ZOFBOT_OPERATORS", "C0QA", "user group (S0123456789)"),
        ("ZOFBOT_ADMINS", "S0LEADS;U0ANA", "entry 1"),
        ("ZOFBOT_ALLOW_RUNS", "perhaps", "true or false"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    [problem] = caught.value.problems
    assert problem.startswith(name)
    assert says in problem
    assert problem.endswith(".")


def test_a_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOF_API_KEY", "zof key with spaces")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "zof key" not in str(caught.value)
    assert caught.value.problems[0].startswith("ZOF_API_KEY")


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("SLACK_APP_TOKEN", "")
    assert load_settings().port == 3000
    assert not load_settings().uses_socket_mode


@pytest.mark.parametrize("name", ["filter[status]", "created__gte", "run.state", "$filter"])
def test_parameters_of_apis_of_all_styles_are_accepted(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("ZOF_SINCE_PARAM", name)
    assert load_settings().zof_since_param == name


@pytest.mark.parametrize("name", ["ZOF_STATUS_PARAM", "ZOF_PROJECT_PARAM"])
def test_a_filter_whose_name_is_empty_is_switched_off(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert getattr(load_settings(), name.lower()) != ""
    monkeypatch.setenv(name, "")
    assert getattr(load_settings(), name.lower()) == ""
    monkeypatch.setenv(name, "state")
    assert getattr(load_settings(), name.lower()) == "state"


def test_lists_of_people_and_switches_are_read_as_people_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOFBOT_RESPONDERS", " U0ANA, S0LEADS ,")
    monkeypatch.setenv("ZOFBOT_ALLOW_RUNS", "Yes")
    monkeypatch.setenv("ZOFBOT_RESOLVE_NOTE", "0")
    settings = load_settings()
    assert settings.zofbot_responders == "U0ANA,S0LEADS"
    assert (settings.zofbot_allow_runs, settings.zofbot_resolve_note) == (True, False)


def test_secrets_may_be_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ZOF_API_KEY").write_text("from-a-file\n")
    monkeypatch.setenv("ZOFBOT_SECRETS_DIR", str(tmp_path))
    assert load_settings("ZOF_API_KEY").zof_api_key.get_secret_value() == "from-a-file"


def test_a_byte_order_mark_before_a_value_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"ZOF_WEBHOOK_SECRET": "from-a-file", "REDIS_URL": "redis://host"}.items():
        (tmp_path / name).write_text(value + "\r\n", encoding="utf-8-sig")
    monkeypatch.setenv("ZOFBOT_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("ZOF_WEBHOOK_SECRET_PREVIOUS", "\ufefffrom-the-environment")
    assert load_settings().webhook_secrets == ("from-a-file", "from-the-environment")
    assert load_settings().redis_url == "redis://host"


def test_nothing_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOF_API_KEY", "hunter2hunter2")
    settings = load_settings()
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()
    assert settings.all_secrets() == ("hunter2hunter2",)


def test_links_may_lead_to_the_templates_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOF_RUN_URL_TEMPLATE", "https://console.example/runs/{run_id}")
    monkeypatch.setenv("ZOF_LINK_HOSTS", "zof.ai, Logs.Example,")
    assert load_settings().link_hosts == ("zof.ai", "logs.example", "console.example")


def test_one_or_two_signing_secrets_stand_with_a_comma_between_and_each_is_kept_out_of_logs() -> None:
    read = Settings.model_validate({"slack_signing_secret": " newnewnew1 , oldoldold2 ,"})
    assert read.signing_secrets == ("newnewnew1", "oldoldold2")
    assert {"newnewnew1", "oldoldold2"} <= set(read.all_secrets())
    assert Settings.model_validate({"slack_signing_secret": " , "}).signing_secrets == ()
    for wrong in ("one,two,three", "one two,three", "schlüssel"):
        with pytest.raises(ValueError, match=r"secret|characters"):
            Settings.model_validate({"slack_signing_secret": wrong})

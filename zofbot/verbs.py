"""The verbs of ``/zof``: one table that help, README, the manifest's hint and the demo's composer are made from."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from zofbot.errors import BadInput
from zofbot.model import is_id

COMMAND = "/zof"

SHORTCUT = "zof_triage"
"""``callback_id`` of the message shortcut *Zof: triage*."""

ANY_COMMAND = re.compile("")
"""Whatever an operator named the command in the manifest."""


@dataclass(frozen=True)
class Verb:
    """One thing that can be asked; ``hint`` is its part of the usage hint in Slack's composer."""

    name: str
    usage: str
    does: str
    example: str
    hint: str


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "result",
            "result <id> [share]",
            "the result's card, only to you; with `share`, posted to the channel at once",
            "result res_4821",
            "result <id> [share]",
        ),
        Verb("run", "run <id>", "a run's card with its failed cases", "run run_1001", "run <id>"),
        Verb(
            "runs",
            "runs [status:failed] [project:…] [env:…]",
            "the latest runs, newest first",
            "runs status:failed env:staging",
            "runs [filters]",
        ),
        Verb(
            "subscribe",
            "subscribe [filters]",
            "this channel is told of failures; alone it opens a form, and `/zof help subscribe` lists the filters",
            "subscribe project:checkout env:production,staging",
            "subscribe [filters]",
        ),
        Verb(
            "subscriptions",
            "subscriptions",
            "what this channel is told, numbered",
            "subscriptions",
            "subscriptions",
        ),
        Verb(
            "unsubscribe",
            "unsubscribe <n|all>",
            "ends one of this channel's subscriptions, or all",
            "unsubscribe 1",
            "unsubscribe <n|all>",
        ),
        Verb(
            "triage",
            "triage [mine|all]",
            "what is open in this channel, oldest first; what is yours; or all that is open",
            "triage mine",
            "triage [mine|all]",
        ),
        Verb(
            "why",
            "why <id>",
            "why this channel was told of a run or a result, or was not, and where the message stands",
            "why run_1001",
            "why <id>",
        ),
        Verb("oncall", "oncall", "whom this channel's escalations would call now", "oncall", "oncall"),
        Verb(
            "handover",
            "handover [since]",
            "posts what is open, snoozed and resolved in this channel since then (12 h ago), by whom and how fast",
            "handover 8h",
            "handover [since]",
        ),
        Verb(
            "digest",
            "digest [daily 09:00|weekly mon 09:00|off]",
            "sums up the day or the week in this channel; alone it says when, and what it would say now",
            "digest weekly mon 09:00",
            "digest [daily|weekly|off]",
        ),
        Verb(
            "cancel",
            "cancel <run>",
            "cancels a run at Zof, once you have seen which",
            "cancel run_1001",
            "cancel <run>",
        ),
        Verb(
            "trace",
            "trace <id>",
            "what led to an error, by the request id or the reference that it shows; for admins",
            "trace ref_0f3a9c5e21",
            "trace <id>",
        ),
        Verb("help", "help [verb]", "all of this, or one verb in detail", "help runs", "help [verb]"),
    )
}

FILTERS = {"status": "status", "project": "project", "env": "env", "environment": "env"}
"""Names that filters may be typed with, and what each is called here."""


@dataclass(frozen=True)
class Typed:
    """What somebody typed after ``/zof``, understood."""

    verb: str
    id: str = ""
    share: bool = False
    filters: tuple[tuple[str, str], ...] = ()
    about: str = ""
    wish: str = ""
    """The filters of a subscription, as they were typed."""


def usage_hint() -> str:
    """The hint beside the command in Slack's composer; Slack takes 1,000 characters."""
    return " | ".join(verb.hint for verb in VERBS.values())


def parse(text: str) -> Typed:
    """Understand what was typed after ``/zof``. Raises BadInput with an example that can be copied."""
    words = text.split()
    if not words:
        return Typed("help")
    verb = words[0].lower()
    if verb not in VERBS:
        return _shorthand(words)
    if verb == "help":
        return _help(words[1:])
    if verb == "runs":
        return Typed("runs", filters=_filters(words[1:]))
    if verb == "subscribe":
        return Typed("subscribe", wish=text.split(maxsplit=1)[1].strip() if len(words) > 1 else "")
    if verb == "subscriptions":
        return Typed("subscriptions")
    if verb == "unsubscribe":
        return _unsubscribe(words[1:])
    if verb == "oncall":
        return Typed("oncall")
    if verb in ("handover", "digest"):
        return Typed(verb, about=" ".join(words[1:]))
    if verb == "trace":
        return Typed("trace", id=_traced(words[1:]))
    if verb == "triage":
        return _triage([word.lower() for word in words[1:]])
    return _lookup(verb, words[1:])


def _unsubscribe(words: list[str]) -> Typed:
    which = words[0].lower().lstrip("#") if len(words) == 1 else ""
    if which != "all" and not (which.isdecimal() and 0 < int(which) < 10_000):
        raise BadInput(
            "Which subscription is to end?",
            f"`{COMMAND} subscriptions` numbers them; `all` ends all of this channel's.",
            example=_example("unsubscribe"),
            verb="unsubscribe",
        )
    return Typed("unsubscribe", about=which)


def _triage(words: list[str]) -> Typed:
    if words and words not in (["mine"], ["all"]):
        raise BadInput(
            f"I do not understand `{_shown(' '.join(words))}`.",
            "Alone it lists this channel's failures; `mine` and `all` list others.",
            example=_example("triage"),
            verb="triage",
        )
    return Typed("triage", about="".join(words))


def _traced(words: list[str]) -> str:
    """The id of a request: one word of any form, or a whole line of an error that ends with it."""
    around = {word.lower().rstrip(":") for word in words[:-1]}
    name = _bare(words[-1]) if words else ""
    if not name or len(name) > 300 or around - {"request", "id", "reference"}:
        raise BadInput(
            "Which request? Its id is missing." if not name else "I look up one id at a time.",
            "Copy the request id, or the reference that begins with `ref_`, from the error.",
            example=_example("trace"),
            verb="trace",
        )
    return name


def _shorthand(words: list[str]) -> Typed:
    """``/zof <id>``; anything close to a verb, or not an id at all, is a mistyped verb."""
    meant = _close(words[0].lower(), VERBS)
    if meant:
        rest = " ".join([meant, *words[1:]])
        raise BadInput(
            f"There is no `{_shown(words[0])}`.", f"Did you mean `{meant}`?", example=_copyable(rest), verb=meant
        )
    identifier = _bare(words[0])
    if not is_id(identifier) or (len(words) > 1 and words[1:] != ["share"]):
        raise BadInput(
            f"There is no `{_shown(words[0])}`.", "See `/zof help` for what there is.", example=_example("result")
        )
    verb = "run" if identifier.startswith("run_") else "result"
    return _lookup(verb, [identifier, *words[1:]])


def _lookup(verb: str, words: list[str]) -> Typed:
    noun = "result" if verb == "result" else "run"
    if not words:
        raise BadInput(
            f"Which {noun}? Its id is missing.", f"Copy a {noun}'s id from Zof.", example=_example(verb), verb=verb
        )
    identifier = _bare(words[0])
    if not is_id(identifier):
        raise BadInput(
            f"`{_shown(words[0])}` is not a {noun} id.",
            "Ids have only letters, digits, `_` and `-`, at most 128 of them.",
            example=_example(verb),
            verb=verb,
        )
    extra = [word.lower() for word in words[1:]]
    share = extra == ["share"] and verb == "result"
    if extra and not share:
        raise BadInput(
            f"I do not understand `{_shown(' '.join(words[1:]))}` after the id.",
            "Only `share` can stand there." if verb == "result" else "Nothing else can stand there.",
            example=_copyable(f"{verb} {identifier}"),
            verb=verb,
        )
    return Typed(verb, id=identifier, share=share)


def _help(words: list[str]) -> Typed:
    if not words:
        return Typed("help")
    about = words[0].lower().removeprefix("/")
    if about in VERBS:
        return Typed("help", about=about)
    meant = _close(about, VERBS)
    raise BadInput(
        f"There is no `{_shown(words[0])}` to explain.",
        f"Did you mean `{meant}`?" if meant else "See `/zof help` for what there is.",
        example=_copyable(f"help {meant}") if meant else f"{COMMAND} help",
    )


def _filters(words: list[str]) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for word in words:
        name, colon, value = word.partition(":")
        known = FILTERS.get(name.lower(), "")
        if not colon or not value or not known:
            meant = _close(name.lower(), FILTERS)
            raise BadInput(
                f"`{_shown(word)}` is not a filter.",
                f"Did you mean `{meant}:…`?" if meant else "Filters are `status:`, `project:` and `env:`.",
                example=_example("runs"),
                verb="runs",
            )
        found[known] = _bare(value)
    return tuple(found.items())


def spelled(filters: Iterable[tuple[str, str]]) -> str:
    """Filters as they are typed."""
    return " ".join(f"{name}:{value}" for name, value in filters)


def _close(word: str, known: Iterable[str]) -> str:
    """The known word that a mistyped one was meant to be, or nothing; what has digits or signs was meant as an id."""
    if not word.isalpha():
        return ""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)), "")


def _bare(word: str) -> str:
    """What people paste around an id: code marks, quotes, brackets, a comma behind it."""
    return word.strip("`'\"“”‘’<>()[],;")


def _shown(word: str) -> str:
    return re.sub(r"[`\s]+", " ", word)[:60].strip()


def _example(verb: str) -> str:
    return f"{COMMAND} {VERBS[verb].example}"


def _copyable(rest: str) -> str:
    return f"{COMMAND} {_shown(rest)}"

"""Classify quoted text in a failure: a name, which is part of its cause, or data, which varies."""

from __future__ import annotations

import re
from enum import Enum


class QuotedKind(Enum):
    """Kind of a quoted text."""

    NAME = "name"
    TEXT = "text"
    DATA = "data"


_LAST_WORD = re.compile(r"([A-Za-z_][\w-]*)[\s\"'`:=(\[{<>*#]*$")

_NAMES_FOLLOW = frozenset(
    """
    keyword scenario suite field fields key keys table column columns relation constraint index schema database
    sequence variable variables var env environment flag flags option options setting settings property
    properties attribute attributes argument arguments parameter parameters param params module package element
    elements selector locator xpath css id testid role label placeholder button link tab menu heading checkbox
    radio dropdown dialog modal input textbox header headers cookie enum method function class type interface
    member reading queue topic exchange stream bucket service feature named using command action event hook
    fixture plugin step task job stage template view route endpoint operation query mutation permission scope
    privilege getbytext getbyrole getbylabel getbytestid getbyplaceholder get contains find click fill keyerror
    status state reason kind code severity level category mode phase identifier symbol export import policy
    claim alias extension directive entity model provider bean dependency protocol cipher algorithm charset
    encoding locale feature_flag featureflag rule validator unit metric partition shard replica
    """.split()  # noqa: SIM905
)
_TEXTS_FOLLOW = frozenset(
    """
    message error errors detail details description reason cause exception msg error_description errormessage
    error_message hint statustext failure because
    """.split()  # noqa: SIM905
)
_DATA_FOLLOWS = frozenset(
    """
    user username customer tenant account owner author person email mail phone city street address company
    product item sku order invoice value values literal string text content body payload data entry uuid integer
    bigint int long numeric decimal double float number json date datetime timestamp time boolean bool parse
    parsing converting convert host hostname server url uri path file directory folder filename token session
    nonce thread password secret firstname lastname first_name last_name fullname display_name displayname base
    format line row record guid hash digest version build commit branch at near saw seen found actually snapshot
    diff response
    """.split()  # noqa: SIM905
)
_COMPARISONS_FOLLOW = frozenset(
    """
    expected received actual actually got was were equal equals eq eql be is to match matches matching contain
    contains containing include includes including have has saw found returned want wanted string substring and
    with but not
    """.split()  # noqa: SIM905
)
_OPERATOR = re.compile(r"(?:[=!]=|~|=>|<>)[\s:=(\[{<\"'`]*$")
_CALL = re.compile(
    r"(?:[gG]et(?:All)?By\w*|query(?:All)?By\w*|find(?:All)?By\w*|[lL]ocator|find_?[eE]lements?|By\.\w+|\$\$?"
    r"|cy\.\w+|query_?[sS]elector"
    r"(?:All)?|[wW]ait_?[fF]or_?[sS]elector|frameLocator|filter|having|(?:page|cy|browser|driver)\.\w+|fill_in|click_on"
    r"|click_button|click_link|find|have_selector|have_css|within|import|require|get_?[eE]nv|[eE]nv\w*|t|reading)[\[(]\s*$"
)
_OPEN_CALL = re.compile(
    r"(?:getBy\w{1,20}|locator|filter|findBy\w{1,20}|queryBy\w{1,20}|Selector|contains)\([^()]{0,80}$"
)
_TYPED_CODE = re.compile(
    r"(?:promo|coupon|voucher|discount|gift|zip|postal|verification|access|one-time)[ _-]?(?:card )?code\W*$",
    re.IGNORECASE,
)
_SHOWN = frozenset(("text", "title", "heading", "message", "string", "content", "item"))
_SHOWN_OR_COMPARED = _SHOWN | _COMPARISONS_FOLLOW | {"", "value", "body", "response", "url", "literal", "error"}
_SAID = re.compile(r"(?:^|\s)[a-z']{1,20} [a-z]{2,20}(?=\W|$)")
_URL_WITH_PATH = re.compile(r"<\*> /\w")
_SEEKS = re.compile(r"\b(?:find|locate|see|for|show|shows|display)\b[\w ]{0,20}\W{0,3}$")
_SOUGHT = re.compile(
    r"\s(?:(?:is |was |to be |could )?not (?:be )?(?:visible|found|displayed|present|shown|clickable|enabled"
    r"|in the document)"
    r"|to be visible|did not appear|never appeared|is missing)"
)
_CONSTRUCTED = re.compile(r"(?:Error|Exception|Failure|Warning|Timeout|Fault|errorf?|panic|Status)\(\s*$")
_KEYED = re.compile(r"([A-Za-z_][\w-]*)[\"'`]?\s*(?:=>|[:=])\s*[({\[<]?$")
_IDENTIFIER = re.compile(r"[A-Za-z_$@.#:*\[/-][\w$@.#:*()\[\]=/>~^|+,?!-]*$")
_CAPITALISED = re.compile(r"[A-Z][a-z]+$")
_LABEL_WORD = re.compile(
    r"(?:\w{3,}(?:ed|ing|able|ible)|active|inactive|ok|new|open|done|draft|fail|pass|error|success|failure|true"
    r"|false|none|null|yes"
    r"|no|on|off|low|high|medium|admin|guest|viewer|editor|free|basic|premium|gold|silver|void|live|ready|idle"
    r"|busy|full"
    r"|unknown|default|normal|urgent|login|home|dashboard|checkout|settings|profile|cart)$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"(?:Duplicate|Unknown|Table|Column|Data|Access|Deadlock|Lost|Could|Can't|Cannot|Failed|Invalid|Too|No"
    r"|Error)\b.* .* "
)
_COMPOUND = re.compile(r"_|^[a-z]+[A-Z]|^[A-Z][a-z]+[A-Z][a-z]")
_SELECTOR = re.compile(r"[.#\[][A-Za-z_]|//\w|<\w|\w+[.#\[][a-z]|[\w*.-]{0,40}/[\w*./{}:<>-]+$")
_UI_TEXT = re.compile(
    r"(?:Open|Close|Save|Add|Book|Pay|Sign|Log|Create|Delete|Edit|Update|Submit|Cancel|Continue|Choose|Select|Search|View"
    r"|Show|Hide|Place|Go|Back|Next|Send|Remove|Apply|Start|Stop|My|New|All|Your|Thank|Forgot|Reset|Download|Upload)\b"
)
_TITLE = re.compile(r"(?:[A-Z][\w'.&-]*\.? ){1,3}[A-Z][\w'.&-]*$")


def judge_quoted(content: str, before: str, after: str) -> QuotedKind:
    """Classify ``content``, which is in quotes between ``before`` and ``after``.

    Names are identifiers, selectors, enumeration values, and what follows a word such as *field* or *button*. In doubt,
    a text counts as a name, because splitting a cause is less bad than joining two.
    """
    return _judge_by_call(content, before) or _judge_by_word(content, before, after)


def _judge_by_call(content: str, before: str) -> QuotedKind | None:
    if not content.strip():
        return QuotedKind.DATA
    if "(" in before or "[" in before:
        if _CALL.search(before, max(0, len(before) - 30)) or _OPEN_CALL.search(before):
            return QuotedKind.NAME
        if _CONSTRUCTED.search(before, max(0, len(before) - 20)):
            return QuotedKind.TEXT
    return QuotedKind.DATA if "code" in before and _TYPED_CODE.search(before) else None


def _judge_by_word(content: str, before: str, after: str) -> QuotedKind:
    word = _last_word(before)
    if word == "name" and before.rstrip("\"'`: ").lower().endswith("snapshot name"):
        return QuotedKind.TEXT
    if word in _TEXTS_FOLLOW and " " in content:
        return QuotedKind.TEXT
    if word in _NAMES_FOLLOW:
        return QuotedKind.NAME
    if word in _SHOWN and (_SOUGHT.match(after) or _SEEKS.search(before)):
        return QuotedKind.NAME
    if word == "name" and "role" in before:
        return QuotedKind.NAME
    if _SENTENCE.match(content) or (
        (word in _SHOWN_OR_COMPARED or word.endswith(("error", "exception"))) and _is_said(content)
    ):
        return QuotedKind.TEXT
    if word in _DATA_FOLLOWS:
        return (
            QuotedKind.NAME
            if _is_enum_word(content) and word in ("value", "values", "text", "found")
            else QuotedKind.DATA
        )
    if (
        word in _COMPARISONS_FOLLOW
        or _OPERATOR.search(before, max(0, len(before) - 8))
        or before.rstrip().endswith((",", "[", "{"))
    ):
        return QuotedKind.NAME if _is_enum_word(content) or _is_selector(content) else QuotedKind.DATA
    if _KEYED.search(before, max(0, len(before) - 40)) and (
        not _IDENTIFIER.match(content) or any(map(str.isdigit, content))
    ):
        return QuotedKind.DATA
    if _IDENTIFIER.match(content):
        return (
            QuotedKind.DATA
            if _CAPITALISED.match(content) and word == "name" and not _is_enum_word(content)
            else QuotedKind.NAME
        )
    return QuotedKind.DATA if _TITLE.match(content) and not _UI_TEXT.match(content) else QuotedKind.TEXT


def _is_said(content: str) -> bool:
    """Whether it is a sentence, which a page shows or an error says, or an address with a path."""
    return _SAID.search(content) is not None or _URL_WITH_PATH.match(content) is not None


def is_capitalized(content: str) -> bool:
    """Whether it is one word with a capital, which may be a person's name or, beside another, a state."""
    return _CAPITALISED.match(content) is not None


def _last_word(before: str) -> str:
    found = _LAST_WORD.search(before, max(0, len(before) - 40))
    return found[1].lower() if found else ""


def _is_enum_word(content: str) -> bool:
    """Whether it looks like an enumeration value: ``pending``, ``PAST_DUE``, ``in-transit``, ``Shipped``."""
    if not re.match(r"[A-Za-z]+(?:[_.-][A-Za-z]+)*$", content):
        return False
    return (
        content.islower()
        or content.isupper()
        or _COMPOUND.search(content) is not None
        or _LABEL_WORD.match(content) is not None
    )


def _is_selector(content: str) -> bool:
    """Whether it is a CSS selector, an element, an XPath or an endpoint's path."""
    return _SELECTOR.match(content) is not None

"""How a shift went in a channel, read from what is known of its failures and from the audit."""

from __future__ import annotations

from collections.abc import Iterable

from zofbot.pipeline.failures import Failure, list_storms
from zofbot.store.audit import REFUSED, Entry
from zofbot.triage.shift import Deed, Shift, Story, shift


def worked(failures: Iterable[Failure], acts: Iterable[Entry], channel: str, since: float) -> Shift:
    """Sum up a channel's shift ``since`` (Unix seconds), of the failures and acts of all channels.

    A storm counts as the one failure that people worked on.
    """
    stories = [
        Story(one.key, one.title, one.body.opened or one.present.opened, one.present)
        for one in list_storms(failures)
        if one.channel == channel
    ]
    deeds = [
        Deed(one.key, one.act, one.name or one.user, one.at, one.user)
        for one in acts
        if one.channel == channel and one.act != REFUSED
    ]
    return shift(stories, deeds, since)

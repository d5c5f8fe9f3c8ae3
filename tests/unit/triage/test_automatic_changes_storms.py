"""How one failure of a storm stands, by what was done about it and about the whole."""

from __future__ import annotations

import pytest

from zofbot.triage import Action, Actor, TriageRecord, TriageState, merge_storm_record, split_storm_record

ANA, BEN = Actor(id="U1", name="Ana"), Actor(id="U2", name="Ben")
OPEN = TriageRecord(opened=100.0)
ALONE = TriageRecord(
    rev=1, state=TriageState.ACKNOWLEDGED, owner=ANA, did=Action.ACKNOWLEDGE, by=ANA, at=200.0, requests=("own",)
)
WHOLE = TriageRecord(rev=2, state=TriageState.RESOLVED, by=BEN, did=Action.RESOLVE, at=300.0, requests=("whole",))


def test_what_was_done_last_holds() -> None:
    assert merge_storm_record(ALONE, WHOLE).state is TriageState.RESOLVED
    assert merge_storm_record(ALONE.model_copy(update={"at": 400.0}), WHOLE).owner == ANA
    assert merge_storm_record(OPEN, WHOLE).state is TriageState.RESOLVED
    assert merge_storm_record(ALONE, OPEN).state is TriageState.ACKNOWLEDGED


def test_what_was_resolved_by_itself_is_not_opened_by_what_is_done_about_the_rest() -> None:
    resolved = TriageRecord(rev=1, state=TriageState.RESOLVED, by=ANA, did=Action.RESOLVE, at=200.0)
    whole = WHOLE.model_copy(update={"state": TriageState.ACKNOWLEDGED, "did": Action.ACKNOWLEDGE})
    assert merge_storm_record(resolved, whole).state is TriageState.RESOLVED
    assert merge_storm_record(resolved, whole).by == ANA


def test_whether_it_has_recovered_is_its_own() -> None:
    recovered = TriageRecord(turn=1, state=TriageState.RECOVERED, at=150.0)
    assert merge_storm_record(recovered, WHOLE).state is TriageState.RECOVERED
    assert merge_storm_record(OPEN, recovered).state is TriageState.OPEN


@pytest.mark.parametrize(("own", "whole"), [(OPEN, OPEN), (ALONE, WHOLE), (OPEN, WHOLE), (ALONE, OPEN)])
def test_each_act_on_either_makes_another_version(own: TriageRecord, whole: TriageRecord) -> None:
    known = merge_storm_record(own, whole).card_version
    assert merge_storm_record(own.model_copy(update={"rev": own.rev + 1}), whole).card_version != known
    assert merge_storm_record(own, whole.model_copy(update={"rev": whole.rev + 1})).card_version != known


@pytest.mark.parametrize(("own", "whole"), [(OPEN, OPEN), (ALONE, WHOLE), (OPEN, WHOLE), (ALONE, OPEN)])
def test_what_is_stored_after_an_act_on_one_is_read_as_the_same_version(own: TriageRecord, whole: TriageRecord) -> None:
    acted = merge_storm_record(own, whole)
    acted = acted.model_copy(update={"rev": acted.rev + 1, "at": 400.0})
    assert merge_storm_record(split_storm_record(acted, whole), whole).card_version == acted.card_version


def test_what_it_was_before_an_act_on_the_whole_is_what_it_was_by_itself() -> None:
    acted_twice = ALONE.model_copy(update={"before": OPEN})
    before = merge_storm_record(acted_twice, WHOLE.model_copy(update={"before": OPEN})).before
    assert before == ALONE.model_copy(update={"requests": ()})
    earlier = TriageRecord(state=TriageState.SNOOZED, by=BEN, at=250.0, more=3, counted=60)
    before = merge_storm_record(ALONE, WHOLE.model_copy(update={"before": earlier}), failures=4).before
    assert before
    assert (before.state, before.more, before.counted) == (TriageState.SNOOZED, 3, 4)


def test_how_often_the_whole_had_failed_when_snoozed_is_not_how_often_one_had() -> None:
    snoozed = TriageRecord(rev=1, state=TriageState.SNOOZED, by=BEN, at=300.0, more=3, counted=60)
    assert merge_storm_record(ALONE, snoozed, failures=4).counted == 4
    assert merge_storm_record(ALONE, snoozed).counted == 0


def test_a_request_that_was_carried_out_on_either_is_known() -> None:
    assert set(merge_storm_record(ALONE, WHOLE).requests) == {"own", "whole"}

"""How one failure of a storm stands, by what was done about it and about the whole."""

from __future__ import annotations

import pytest

from zofbot.triage import Act, State, Triage, Who, stand_in_storm

ANA, BEN = Who(id="U1", name="Ana"), Who(id="U2", name="Ben")
OPEN = Triage(opened=100.0)
ALONE = Triage(rev=1, state=State.ACKNOWLEDGED, owner=ANA, did=Act.ACKNOWLEDGE, by=ANA, at=200.0, requests=("own",))
WHOLE = Triage(rev=2, state=State.RESOLVED, by=BEN, did=Act.RESOLVE, at=300.0, requests=("whole",))


def test_what_was_done_last_holds() -> None:
    assert stand_in_storm(ALONE, WHOLE).state is State.RESOLVED
    assert stand_in_storm(ALONE.model_copy(update={"at": 400.0}), WHOLE).owner == ANA
    assert stand_in_storm(OPEN, WHOLE).state is State.RESOLVED
    assert stand_in_storm(ALONE, OPEN).state is State.ACKNOWLEDGED


def test_whether_it_has_recovered_is_its_own() -> None:
    recovered = Triage(turn=1, state=State.RECOVERED, at=150.0)
    assert stand_in_storm(recovered, WHOLE).state is State.RECOVERED
    assert stand_in_storm(OPEN, recovered).state is State.OPEN


@pytest.mark.parametrize(("own", "whole"), [(OPEN, OPEN), (ALONE, WHOLE), (OPEN, WHOLE), (ALONE, OPEN)])
def test_each_act_on_either_makes_another_version(own: Triage, whole: Triage) -> None:
    known = stand_in_storm(own, whole).version
    assert stand_in_storm(own.model_copy(update={"rev": own.rev + 1}), whole).version != known
    assert stand_in_storm(own, whole.model_copy(update={"rev": whole.rev + 1})).version != known


def test_a_request_that_was_carried_out_on_either_is_known() -> None:
    assert set(stand_in_storm(ALONE, WHOLE).requests) == {"own", "whole"}

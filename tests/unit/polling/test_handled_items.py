"""What is kept of handled items and of first listings, and what is deleted first."""

from __future__ import annotations

import pytest

from zofbot.polling.handled_items import MAX_HANDLED_ITEMS, HandledItems


@pytest.fixture
def stored() -> dict[str, str | None]:
    return {}


@pytest.fixture
def items(stored: dict[str, str | None]) -> HandledItems:
    return HandledItems({}, stored.__setitem__)


def test_the_first_listing_of_an_item_counts_also_after_a_restart(
    items: HandledItems, stored: dict[str, str | None]
) -> None:
    assert items.first_listing("runs:passed:run_1", 100.9) == 100.0
    assert items.first_listing("runs:passed:run_1", 200.0) == 100.0
    assert "runs:passed:run_1" not in items
    restarted = HandledItems({field: float(at or 0) for field, at in stored.items()}, stored.__setitem__)
    assert restarted.first_listing("runs:passed:run_1", 300.0) == 100.0


def test_first_listings_are_deleted_before_handled_items(items: HandledItems) -> None:
    half = MAX_HANDLED_ITEMS // 2
    items.add((f"runs:failed:run_{number}" for number in range(half)), 100.0)
    for number in range(half):
        items.first_listing(f"runs:passed:run_{number}", 200.0 + number)
    assert items.delete_surplus() is None
    items.add(["runs:failed:run_new"], 50.0)
    assert items.delete_surplus() is None
    assert "runs:failed:run_new" in items
    assert "runs:failed:run_0" in items
    assert items.first_listing("runs:passed:run_0", 1e6) == 1e6
    assert items.first_listing(f"runs:passed:run_{half - 1}", 1e6) == 200.0 + half - 1


def test_how_late_the_deleted_items_were_is_known_though_a_first_listing_was_too_much(items: HandledItems) -> None:
    items.add((f"runs:failed:run_{number}" for number in range(MAX_HANDLED_ITEMS)), 100.0)
    items.first_listing("runs:passed:run_1", 200.0)
    assert items.delete_surplus() == 100.0

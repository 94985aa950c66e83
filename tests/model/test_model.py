"""The engine's promises in every order of events; what each mend is for. `python -m tests.model` goes further."""

from __future__ import annotations

import pytest

from tests.model.engine import Mends
from tests.model.search import explore
from tests.model.world import Faults

# Rows in a slice of a settling, and what happens. Three are all of a state, six all there are.
IN_EVERY_TEST_RUN = {
    "two losses": (2, Faults(losses=2)),
    "a loss, the shard taken and taken back": (6, Faults(losses=1, takes=2)),
    "a loss and a crash": (2, Faults(losses=1, crashes=1)),
    "an old copy and a crash": (6, Faults(returns=1, crashes=1)),
    "a loss and a late statement": (3, Faults(losses=1, delays=1)),
    "a crash and a taken shard": (3, Faults(crashes=1, takes=1)),
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", IN_EVERY_TEST_RUN)
def test_whatever_happens_in_any_order_nothing_is_lost_or_out_of_order(name: str) -> None:
    slice_rows, faults = IN_EVERY_TEST_RUN[name]
    found = explore(Mends(slice_rows=slice_rows), faults)
    assert found.wrong is None, str(found)
    assert found.states > 10_000, "a model that can do little proves little"


WITHOUT = {
    "the fence of confirmations": (
        Mends().without_guards("consume", "pending", "processing", "failed", "delivered"),
        Faults(losses=1),
        "on no stream",
    ),
    "the flush of a settling that changes no row": (
        Mends(settling_flushes=False),
        Faults(losses=1, crashes=1),
        "on no stream",
    ),
    "the stream made by epochs only": (Mends(only_epochs_make_the_stream=False), Faults(losses=1), "were lost"),
    "the history in the epoch": (Mends(epochs_know_their_history=False), Faults(returns=1), "were lost"),
    "the epoch in a claim": (Mends(claims_name_the_epoch=False), Faults(losses=1, takes=2), "on no stream"),
    "the forgetting of what was claimed ahead": (
        Mends(claimed_ahead_is_dropped=False),
        Faults(losses=1),
        "published behind",
    ),
    "the marking after all slices": (Mends(marked_after_all_slices=False), Faults(losses=1), "on no stream"),
    "the order of the slices": (
        Mends(processing_is_looked_at_first=False),
        Faults(losses=1, delays=1),
        "on no stream",
    ),
    "the return of what was delivered in another epoch": (
        Mends().without_guards("settle", "processing"),
        Faults(losses=1),
        "on no stream",
    ),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", WITHOUT)
def test_each_mend_is_needed(name: str) -> None:
    mends, faults, expected = WITHOUT[name]
    found = explore(mends, faults)
    assert found.wrong is not None, f"{name} could be left out: {found}"
    assert expected in found.wrong, str(found)

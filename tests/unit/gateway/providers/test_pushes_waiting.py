"""A push wakes all who follow its run, and nobody else."""

from __future__ import annotations

from uniassist.gateway.providers.kinds.a2a_pushes import Pushes


def test_a_push_wakes_each_call_of_its_run() -> None:
    """A run may owe several answers at a time: two interactions with it, say."""
    pushes = Pushes("http://gateway", ["secret"])
    with pushes.waiting("run-1") as first, pushes.waiting("run-2") as other:
        with pushes.waiting("run-1") as second:
            pushes.wake(["run-1"])
            assert first.is_set()
            assert second.is_set()
            assert not other.is_set()
        first.clear()
        pushes.wake(["run-1", "run-3"])
        assert first.is_set()
        assert not other.is_set()


def test_a_token_is_of_one_run_and_of_any_of_our_secrets() -> None:
    old, new = Pushes("http://gateway", ["old"]), Pushes("http://gateway", ["new", "old"])
    assert new.takes("run-1", old.token("run-1"))
    assert not new.takes("run-2", old.token("run-1"))
    assert not old.takes("run-1", new.token("run-1"))
    assert not old.takes("run-1", "")

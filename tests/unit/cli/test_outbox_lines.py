import pytest
from rich.console import Console

from uniassist.cli.outbox.lines import age
from uniassist.cli.outbox.watch import Look, screen_of


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-0.2, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59, "59 s"),
        (60, "1.0 min"),
        (3599, "60 min"),
        (5400, "1.5 h"),
        (86_400 * 12.2, "12 d"),
    ],
)
def test_an_age_is_short(seconds: float, expected: str) -> None:
    assert age(seconds) == expected


def test_the_screen_fits_80_columns_and_shows_what_changed() -> None:
    worker: dict[str, object] = {
        "worker": "a-host-name-8789:123456:abcd1234",
        "shards": 32,
        "consumedPerSecond": 0.5,
    }
    counts = {"pending": 1_000_000, "processing": 500, "failed": 0, "delivered": 7, "dead_letter": 1}
    now = Look(counts, 12.0, 16_123.4, [worker], ["PAUSED since 2026-01-01 00:00:00 UTC by root@host: a reason"])
    before = Look({**counts, "pending": 999_000, "delivered": 9}, 11.0, 16_000.0, [worker])
    console = Console(width=80, record=True, color_system=None)
    with console.capture() as captured:
        console.print(screen_of(now, before))
    lines = captured.get().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "1,000,000+" in lines[0]
    assert "+1,000" in lines[0]
    assert "█" in lines[0]
    assert "-2" in lines[3]
    assert "16123.4/s" in lines[5]
    assert len(lines) == 9, "nothing was wrapped"

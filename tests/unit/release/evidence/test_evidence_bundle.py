from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.release.evidence.bundle import SUMS, damage, folder_of, seal, write

FILES = {"evidence.md": "# Evidence\n", "gate.log": "gate green\n" * 5, "evidence.json": '{"a": "ä"}\n'}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home") / "evidence" / "run"
    write(folder, FILES)
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write(tmp_path / "run", FILES)
    return tmp_path / "run"


@given(data=st.data())
def test_any_flipped_bit_of_any_file_is_noticed(built: Path, data: st.DataObject) -> None:
    path = built / data.draw(st.sampled_from([*FILES, SUMS]))
    content = path.read_bytes()
    position = data.draw(st.integers(0, len(content) - 1))
    flipped = bytearray(content)
    flipped[position] ^= 1 << data.draw(st.integers(0, 7))
    assert damage(built) == []
    path.write_bytes(flipped)
    try:
        assert damage(built) != []
    finally:
        path.write_bytes(content)


def test_every_byte_of_every_file_counts(bundle: Path) -> None:
    for path in sorted(bundle.iterdir()):
        content = path.read_bytes()
        for position in range(len(content)):
            path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
            assert damage(bundle), f"{path.name}, byte {position}"
        path.write_bytes(content)


def test_what_is_missing_added_or_replaced_is_named(bundle: Path) -> None:
    (bundle / "gate.log").rename(bundle / "gate2.log")
    (bundle / "empty").mkdir()
    (bundle / "evidence.md").unlink()
    (bundle / "evidence.md").symlink_to("/etc/hostname")
    assert damage(bundle) == ["gate.log: missing", "empty: added", "gate2.log: added", "evidence.md: changed"]
    (bundle / SUMS).unlink()
    assert damage(bundle) == [f"{SUMS}: No such file or directory"]


def test_a_bundle_is_replaced_whole_and_sha256sum_reads_its_sums(bundle: Path) -> None:
    first = seal(bundle)
    second = write(bundle, {"evidence.md": "anew\n"})
    assert first != second == seal(bundle)
    assert sorted(path.name for path in bundle.iterdir()) == [SUMS, "evidence.md"]
    assert [path.name for path in bundle.parent.iterdir()] == ["run"]
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", SUMS], cwd=bundle, check=True)
    assert bundle.stat().st_mode & 0o077 == 0
    assert folder_of(Path("home"), "run") == Path("home/evidence/run")

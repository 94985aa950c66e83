"""Where media are kept, and for how long."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import fsspec
import pytest

from uniassist.adapter_wechat.media.retention import Retention
from uniassist.adapter_wechat.media.storage import MediaStore
from uniassist.errors import SettingsError
from uniassist.store.server.pool import Pool, create_pool
from uniassist.store.wechat import erasure as wechat_erasure
from uniassist.store.wechat import media as wechat_media

_AGE = "UPDATE wechat_media SET created_at = now() - make_interval(days => $1), due_at = now() WHERE media_id = $2"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with await create_pool(database_url, application_name="test", max_size=4) as opened:
        yield opened


async def keep(pool: Pool, files: MediaStore, media_id: str, *, days_old: int, openid: str = "o") -> str:
    name = f"{openid}/{media_id}"
    await wechat_media.add_medium(pool, openid, media_id, name, kind="image")
    medium = await wechat_media.claim_medium(pool, openid, media_id, lease_seconds=60)
    assert medium is not None
    await files.write(name, b"a photo")
    assert await wechat_media.store_medium(pool, medium, mime="image/png", size=7, sha256="x")
    await pool.execute(_AGE, days_old, media_id)
    return name


async def test_media_go_to_the_place_that_a_url_names_and_from_it() -> None:
    files = MediaStore("memory://wechat/media")
    await files.write("a/b", b"a photo")
    assert files.uri("a/b") == "memory:///wechat/media/a/b"
    with fsspec.open(files.uri("a/b"), "rb") as opened:
        assert opened.read() == b"a photo"
    await files.remove(["a/b", "never/there"])
    assert not fsspec.filesystem("memory").exists("/wechat/media/a/b")


@pytest.mark.parametrize("form", ["{}", "file://{}"])
async def test_a_folder_is_closed_to_others_and_has_only_whole_files(tmp_path: Path, form: str) -> None:
    files = MediaStore(form.format(tmp_path / "media"))
    await files.write("a/b", b"a photo")
    assert files.uri("a/b") == (tmp_path / "media/a/b").as_uri()
    assert [path.name for path in (tmp_path / "media/a").iterdir()] == ["b"]
    assert (tmp_path / "media/a").stat().st_mode & 0o077 == 0
    await files.remove(["a/b"])
    assert list((tmp_path / "media/a").iterdir()) == []


@pytest.mark.parametrize("place", ["nonsense://x", "s3://bucket/without-s3fs"])
def test_a_place_that_nothing_can_write_to_is_refused_by_the_settings_name(place: str) -> None:
    with pytest.raises(SettingsError, match="WECHAT_MEDIA_DIR"):
        MediaStore(place)


async def test_media_are_deleted_when_they_are_old_and_nothing_is_worked_on(pool: Pool, tmp_path: Path) -> None:
    files = MediaStore(str(tmp_path))
    old = await keep(pool, files, "old", days_old=31)
    young = await keep(pool, files, "young", days_old=29)
    used = await keep(pool, files, "used", days_old=31, openid="busy")
    await pool.execute("INSERT INTO sessions (session_id, user_id) VALUES ('wx-session:busy', 'wx:busy')")
    await pool.execute(
        "INSERT INTO provider_runs (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode,"
        " idempotency_key, status) VALUES ('r', 't', 'wx-session:busy', 'wx:busy', 'plan', 'async', 'normal', 'k',"
        " 'running')"
    )
    retention = Retention(pool, files, days=30)
    await retention.run_once()
    assert [(tmp_path / name).exists() for name in (old, young, used)] == [False, True, True]
    assert await wechat_media.medium(pool, "o", "old") is None
    await pool.execute("UPDATE provider_runs SET status = 'completed'")
    await retention.run_once()
    assert [(tmp_path / name).exists() for name in (young, used)] == [True, False]


async def test_what_is_still_being_fetched_is_not_old_and_zero_keeps_all(pool: Pool, tmp_path: Path) -> None:
    files = MediaStore(str(tmp_path))
    old = await keep(pool, files, "old", days_old=4000)
    await wechat_media.add_medium(pool, "o", "under-way", "o/under-way", kind="image")
    await pool.execute(_AGE, 31, "under-way")
    await Retention(pool, files, days=0).run_once()
    assert (tmp_path / old).exists()
    await Retention(pool, files, days=30).run_once()
    assert await wechat_media.medium(pool, "o", "under-way") is not None


async def test_files_of_who_left_are_found_again_by_an_adapter_that_keeps_all_others(
    pool: Pool, tmp_path: Path
) -> None:
    files = MediaStore(str(tmp_path))
    theirs = await keep(pool, files, "theirs", days_old=0)
    others = await keep(pool, files, "others", days_old=0, openid="another")
    erased = await wechat_erasure.erase(pool, "o", dt.datetime.now(dt.UTC))  # and killed here
    assert erased is not None
    assert erased.media == [theirs]
    await Retention(pool, files, days=0).run_once()
    assert [(tmp_path / name).exists() for name in (theirs, others)] == [False, True]
    assert await wechat_media.left_media(pool, 10) == []


async def test_a_file_whose_deletion_was_cut_short_is_found_again(pool: Pool, tmp_path: Path) -> None:
    files = MediaStore(str(tmp_path))
    old = await keep(pool, files, "old", days_old=31)
    (claimed,) = await wechat_media.claim_old_media(pool, days=30, lease_seconds=60, limit=10)
    await files.remove([claimed.name])  # and killed here
    assert await wechat_media.claim_old_media(pool, days=30, lease_seconds=60, limit=10) == []
    await pool.execute("UPDATE wechat_media SET due_at = now()")
    await Retention(pool, files, days=30).run_once()
    assert await wechat_media.medium(pool, "o", "old") is None
    assert not (tmp_path / old).exists()

"""The image's files, as far as they can be held without building it; `make image-smoke` builds and tries it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.unit.ops.manifests import ROLLOUT

from uniassist.devstack.plan import PORT_VARIABLES
from uniassist.settings.variables import VARIABLES

FOLDER = Path(__file__).parents[3] / "ops/deploy/image"
DOCKERFILE = (FOLDER / "Dockerfile").read_text("utf-8")
LEAN = FOLDER / "lean.sh"
_STATUS = """Package: {name}
Status: install ok installed
Maintainer: nobody
Architecture: all
Version: 1
Description: a package

"""


def test_every_service_has_its_port_in_it() -> None:
    exposed = re.search(r"^EXPOSE (.+)$", DOCKERFILE, re.MULTILINE)
    assert exposed is not None
    assert set(exposed[1].split()) == {VARIABLES[PORT_VARIABLES[service]].default for service in ROLLOUT}


def test_what_the_build_copies_is_sent_to_it() -> None:
    sent = set(re.findall(r"^!(\S+)$", (FOLDER / "Dockerfile.dockerignore").read_text("utf-8"), re.MULTILINE))
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert source in sent or source.partition("/")[0] in sent, source


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="lean.sh runs on a Debian; there is no dpkg")
def test_a_base_loses_what_is_not_run_and_its_database_says_so(tmp_path: Path) -> None:
    for name in ("usr/bin/perl", "usr/bin/dash", "usr/lib/python3.11/json.py", "usr/lib/python3.11/idlelib/run.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("copyright", "changelog.gz"):
        (tmp_path / "usr/share/doc/dash").mkdir(parents=True, exist_ok=True)
        (tmp_path / "usr/share/doc/dash" / name).touch()
    packages = {"perl-base": "/usr/bin/perl", "dash": "/usr/bin/dash"}
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info.parent / "updates").mkdir()
    (info / "format").write_text("1\n")
    (info.parent / "status").write_text("".join(_STATUS.format(name=name) for name in packages))
    for name, file in packages.items():
        (info / f"{name}.list").write_text(f"/.\n/usr\n/usr/bin\n{file}\n")
        (info / f"{name}.prerm").write_text("#!/usr/bin/perl\n")

    subprocess.run(["sh", LEAN, tmp_path], check=True, timeout=60)

    left = {str(path.relative_to(tmp_path)) for path in (tmp_path / "usr").rglob("*") if path.is_file()}
    assert left == {"usr/bin/dash", "usr/lib/python3.11/json.py", "usr/share/doc/dash/copyright"}
    listed = ["dpkg-query", f"--admindir={info.parent}", "--show", "--showformat", "${Package}\n"]
    done = subprocess.run(listed, check=True, capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == ["dash"]


def test_another_linux_keeps_its_programs(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/apk").touch()
    subprocess.run(["sh", LEAN, tmp_path], check=True, timeout=60)
    assert (tmp_path / "usr/bin/apk").exists()


def test_what_compose_runs_stays() -> None:
    packages = LEAN.read_text("utf-8").partition("packages='")[2].partition("'")[0].split()
    assert not {"dash", "python3", "python3-minimal", "ca-certificates", "base-files", "libc6"} & set(packages)

"""A container by the kernel's own means: a root file system, read-only, with process ids and a user of its own.

What a container runtime would take from the image's configuration is taken from there, too.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

SECRETS = "/run/secrets"
_GRACE_SECONDS = 30.0  # what Kubernetes and Docker are told to wait


@dataclass(frozen=True)
class Image:
    """root: its files. command: entrypoint and command. user: `uid:gid`."""

    root: Path
    entrypoint: list[str]
    command: list[str]
    user: str
    env: list[str]

    @classmethod
    def built(cls, folder: Path) -> Image:
        config = json.loads((folder / "image.json").read_text("utf-8"))["OCIv1"]["config"]
        root = (folder / "root").resolve(strict=True)
        return cls(root, config["Entrypoint"], config["Cmd"], config["User"], config["Env"])


class Container:
    """`arguments` None: the image's own command. `secrets`: a folder, which it finds as /run/secrets.

    writable: a folder to write to, in memory; empty: there is none.
    """

    def __init__(
        self,
        image: Image,
        arguments: list[str] | None,
        env: Mapping[str, str],
        secrets: Path,
        log: Path,
        *,
        writable: str = "",
    ) -> None:
        command = [*image.entrypoint, *(image.command if arguments is None else arguments)]
        self.log = log
        script = _SCRIPT.format(
            root=shlex.quote(str(image.root)),
            secrets=shlex.quote(str(secrets)),
            writable=f"mount -t tmpfs -o mode=1777 tmpfs {image.root}{writable}" if writable else "",
            user=image.user,
            chroot=shutil.which("chroot") or "/usr/sbin/chroot",
            uid=image.user.partition(":")[0],
            gid=image.user.partition(":")[2],
            env=shlex.join(["env", "-i", *image.env, *(f"{name}={value}" for name, value in env.items())]),
            command=shlex.join(command),
        )
        with log.open("wb") as out:
            self._outer = psutil.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "sh", "-euc", script],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    @property
    def first(self) -> psutil.Process | None:
        """Its process 1, as it is seen from outside; None: it ended."""
        children = self._outer.children()
        return children[0] if children else None

    @property
    def is_running(self) -> bool:
        return self._outer.poll() is None

    def finish(self, seconds: float) -> int:
        """Its exit code. TimeoutExpired."""
        return int(self._outer.wait(seconds))

    def terminate(self) -> int:
        """SIGTERM to its process 1, as runtimes do, and its exit code. TimeoutExpired: it outstayed its grace."""
        first = self.first
        assert first is not None, self.log.read_text("utf-8")
        os.kill(first.pid, 15)
        return self.finish(_GRACE_SECONDS)

    def kill(self) -> None:
        if self.is_running:
            self._outer.kill()
            self._outer.wait(10)


def run(image: Image, arguments: list[str], env: Mapping[str, str], secrets: Path, log: Path) -> str:
    """What a command of the tool says, which may write to /tmp. AssertionError with that when it fails."""
    container = Container(image, arguments, env, secrets, log, writable="/tmp")
    try:
        code = container.finish(120)
    finally:
        container.kill()
    said = log.read_text("utf-8", "replace")
    assert code == 0, f"{shlex.join(arguments)} ended with {code}:\n{said}"
    return said


# The mounts are in a namespace of their own, and gone with it.
_SCRIPT = """
mount --make-rprivate /
mount --rbind {root} {root}
mount -t proc proc {root}/proc
mount --rbind /dev {root}/dev
mount -t tmpfs -o mode=0755,size=1m tmpfs {root}/run
mkdir {root}/run/secrets
for file in {secrets}/*; do
  install -m 0400 -o {uid} -g {gid} "$file" {root}/run/secrets/
done
mount -o remount,ro tmpfs {root}/run
{writable}
mount -o remount,ro,bind {root}
exec {env} {chroot} --userspec={user} --groups= {root} {command}
"""

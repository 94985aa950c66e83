"""`python -m tests.real_model --model-url http://127.0.0.1:8080/v1 --transcript said.md`.

Checks the chat against that model server, or writes a conversation with it down. Exits 1 where a check fails.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.real_model import checks, transcript
from tests.real_model.system import started


async def _run(asked: argparse.Namespace, directory: Path) -> int:
    async with started(directory, asked.model_url, asked.model) as system:
        if asked.transcript is not None:
            text = await transcript.held(system, asked.described)
            asked.transcript.write_text(text, "utf-8")
            return 0
        failed = await checks.all_of(system)
        return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.real_model", description=__doc__)
    parser.add_argument("--model-url", required=True, help="of the API, ends in /v1 mostly")
    parser.add_argument("--model", default="default", help="its name there")
    parser.add_argument("--described", default="a model", help="which one it is, for the transcript")
    parser.add_argument("--transcript", type=Path, help="no checks: hold the conversation, write it there")
    asked = parser.parse_args()
    # Not below a private folder: Postgres runs as another user when we are root.
    directory = Path(tempfile.mkdtemp(prefix="uniassist-real-model-"))
    directory.chmod(0o755)
    print(f"logs in {directory}", file=sys.stderr)
    code = asyncio.run(_run(asked, directory))
    if code == 0:
        shutil.rmtree(directory, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())

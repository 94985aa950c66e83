"""What failed in the crowd is run again alone, twice: `make test` comes here after a red run.

A test that fails once in some hundred runs, on a machine that ten processes fight for, shouldn't hold up
everybody's work, and shouldn't be hidden. So: three tests at most get this; each has to pass twice, with nothing
beside it; and it is named at the very end. Such a test has a fault, or the product has: find out which.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests import scratch

AT_MOST = 3
TIMES = 2
TESTS_FAILED = 1  # pytest's exit code for it; all others are no matter of steadiness


def main(arguments: list[str]) -> int:
    """`arguments`: the exit code of the red run, then what pytest is to be given beside the tests' names."""
    code = int(arguments[0])
    if code != TESTS_FAILED:
        return code
    failed = list(json.loads(Path(".pytest_cache/v/cache/lastfailed").read_text("utf-8")))
    if len(failed) > AT_MOST:
        print(f"{len(failed)} tests failed; only up to {AT_MOST} are run again")
        return code
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *arguments[1:], *failed]
    environment = os.environ | {scratch.KEEP: "1"}  # what the red run left tells why
    for _ in range(TIMES):
        if subprocess.run(command, env=environment, check=False).returncode != 0:
            return code
    print(f"UNSTEADY: failed in the whole run, passed {TIMES} times alone. Find out whose fault it is:")
    print("\n".join(f"  {name}" for name in failed))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

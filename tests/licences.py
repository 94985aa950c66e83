"""`python -m tests.licences`: the licences of what is shipped; ends with 1 when one isn't allowed.

It reads what the installed packages say of themselves, so it needs no network. `--list` prints all of them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

RUNTIME = Path(__file__).parents[1] / "requirements/runtime.txt"
ALLOWED = frozenset(
    {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
)
# Of one package each, and why it may be all the same.
EXCEPTIONS: Mapping[str, str] = {
    "psycopg": "LGPL-3.0-only",  # used as it is, as a library that anybody can replace
    "psycopg-binary": "LGPL-3.0-only",  # the same
}
# What packages write that know no SPDX.
_SPELLINGS: Mapping[str, str] = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
}


def shipped(lock: str) -> Iterator[str]:
    """The packages of a lock file that this platform installs."""
    for line in re.findall(r"^[A-Za-z0-9][^\n\\]*", lock, re.MULTILINE):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            yield requirement.name


def licence_of(package: str) -> str:
    """As SPDX has it, as far as that can be told; empty: it says nothing. PackageNotFoundError."""
    said = metadata.metadata(package)
    if "License-Expression" in said:
        return str(said["License-Expression"])
    classifiers = [
        each.rpartition("::")[2] for each in said.get_all("Classifier") or () if each.startswith("License ")
    ]
    # A whole text instead of a name begins with the name, if anything.
    candidates = [str(said["License"]).partition("\n")[0] if "License" in said else "", *classifiers]
    written = [" ".join(each.split()) for each in candidates if each.strip()]
    return " OR ".join(dict.fromkeys(_SPELLINGS.get(each.lower(), each) for each in written))


def is_allowed(package: str, licence: str) -> bool:
    """Whether one of its alternatives is, with all of its parts; in parentheses all of them have to be."""
    if EXCEPTIONS.get(package) == licence:
        return True
    if "(" in licence:
        return all(part in ALLOWED for part in re.split(r" AND | OR ", re.sub("[()]", "", licence)))
    return any(all(part in ALLOWED for part in each.split(" AND ")) for each in licence.split(" OR "))


def objections(lock: str, licence: Callable[[str], str] = licence_of) -> list[str]:
    """A line for each package that may not be shipped."""
    found = []
    for package in shipped(lock):
        try:
            said = licence(package)
        except metadata.PackageNotFoundError:
            found.append(f"{package}: isn't installed, so its licence isn't known; run `make setup`")
            continue
        if not is_allowed(package, said):
            found.append(f"{package}: {said or 'says no licence'}; expected one of {', '.join(sorted(ALLOWED))}")
    return found


def main() -> int:
    lock = RUNTIME.read_text("utf-8")
    if "--list" in sys.argv:
        for package in shipped(lock):
            print(f"{package:40} {licence_of(package)}")
    wrong = objections(lock)
    print("\n".join(wrong) or f"licences of {len(list(shipped(lock)))} shipped packages: all allowed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

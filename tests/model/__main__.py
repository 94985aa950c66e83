"""`python -m tests.model --losses 1 --crashes 1 --takes 1`: every state within these bounds; 1 if one is wrong."""

from __future__ import annotations

import argparse
import sys
import time

from tests.model.engine import Mends
from tests.model.search import explore
from tests.model.world import Faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    for name in Faults._fields:
        parser.add_argument(f"--{name}", type=int, default=0)
    began = time.monotonic()
    found = explore(Mends(), Faults(**vars(parser.parse_args())))
    print(f"{found}; {time.monotonic() - began:.0f} s")
    return 0 if found.wrong is None else 1


if __name__ == "__main__":
    sys.exit(main())

"""The gateway with a second's patience for those who do not read: `python -m` this module with `gateway`."""

from uniassist.cli.main import main
from uniassist.web import protocol

if __name__ == "__main__":
    protocol.READER_DEADLINE_SECONDS = 1.0
    main()

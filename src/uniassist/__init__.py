"""UniAssist: one entrance to many specialist assistants."""

VERSION = "0.1.0"

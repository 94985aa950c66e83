"""UniAssist: one entrance to many specialist assistants."""

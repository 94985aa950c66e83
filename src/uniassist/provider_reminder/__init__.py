"""The `reminder` specialist: hears what to remind of and when, keeps it, and says it at its time."""

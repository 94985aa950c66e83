"""What the watch saw, and whether it is a trigger. No clock, no I/O."""

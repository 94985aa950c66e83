"""What happens in a session: turns decided without I/O, and committed in groups."""

"""AG-UI in front: a thread is a session, a run an input, and every stream resumable."""

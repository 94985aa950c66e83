"""A2A in front: the gateway is an agent, a session a context, and a run a task."""

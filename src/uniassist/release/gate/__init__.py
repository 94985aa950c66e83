"""Before a rollout: the prerequisites, and the gate's three checks."""

"""What rollouts and rollbacks share: the site they work on, the walk from step to step, what is observed."""

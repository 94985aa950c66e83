"""The watch after a rollout: what it looks at, what that means, and what it does about it."""

"""From a tag to services that run it: the candidate, the plan, what is refused, the steps, and going on later."""

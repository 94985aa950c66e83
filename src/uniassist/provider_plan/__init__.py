"""The `plan` specialist: asks for what a plan needs, makes it, changes it as one says. Every answer is a pure
function of its request, so a repeated call gets the same one and there is nothing to store: the plan travels in the
hint of the reply that is expected (decision 19)."""

"""The `plan` specialist: asks for what a plan needs and gives it back confirmed. Every answer is a pure
function of its request, so a repeated call gets the same one and there is nothing to store."""

"""`uniassist release …`: a file for each command."""

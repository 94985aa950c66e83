"""Where the services run: a driver each for this host, for the operator's own commands, for a person's hands."""

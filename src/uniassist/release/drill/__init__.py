"""The runbook's worker reliability drill."""

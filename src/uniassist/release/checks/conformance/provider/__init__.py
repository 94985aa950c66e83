"""The conformance kit: a provider's side of the v0 contract, the same checks for ours and for anyone's."""

"""Messages while they are written: shown to readers, told to other gateways, and kept nowhere."""

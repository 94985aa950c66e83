"""The platform's signatures and its message envelope. Pure."""

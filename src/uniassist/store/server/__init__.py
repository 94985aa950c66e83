"""The server behind the store: its URL, connections and sessions, its faults, which database it is."""

"""From what clients send to what the store holds."""

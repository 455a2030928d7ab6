"""graph of stages -> finished stages on disk."""

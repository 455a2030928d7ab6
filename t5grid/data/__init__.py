"""text -> token ids -> objective -> batch."""

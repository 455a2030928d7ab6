"""command line -> what it asks for, torch imported no sooner than it runs."""

FAILURE = 1
"""Exit code of a command that ran and found or left something wrong."""

"""the sub-commands of `t5grid`, each beside its options; nothing here imports torch before it runs."""

FAILURE = 1
"""Exit code of a command that ran and found or left something wrong."""

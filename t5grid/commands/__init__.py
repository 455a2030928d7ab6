"""the sub-commands of `t5grid`, each beside its options; nothing here imports torch before it runs."""

"""seed -> the embedded default: a generated world, its documents and its tasks."""

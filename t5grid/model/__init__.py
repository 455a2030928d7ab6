"""batch -> logits -> answers; size -> parameters and operations."""

"""logits -> loss -> checkpoint."""

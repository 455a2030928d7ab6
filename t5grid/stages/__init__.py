"""a cell's units of work -> records: text, pre-training, fine-tuning, evaluation."""

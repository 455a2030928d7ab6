"""records -> tables, figures, findings, one page."""

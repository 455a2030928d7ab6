"""experiment files -> cells -> graph of stages."""

"""graph of stages -> jobs of a cluster."""

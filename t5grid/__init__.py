"""t5grid: the study grid of Raffel et al. (2020) as a declarative experiment framework."""

__version__ = "0.1.0"

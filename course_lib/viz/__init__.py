"""Plots, one module per concept. Each function returns a finished matplotlib figure."""

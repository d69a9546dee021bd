"""Notebook sources, the notebooks generated from them, and the contract both keep."""

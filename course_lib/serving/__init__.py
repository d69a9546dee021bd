"""Servers: started, watched and stopped so that nothing is left behind."""

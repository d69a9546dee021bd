"""Measuring engines and servers: one definition of each quantity, seeded workloads, load."""

"""The one function that the entry replaces."""

import multiprocessing


def get_mp_context() -> multiprocessing.context.BaseContext:
    """How vLLM makes its engine process; spawning would import everything again."""
    return multiprocessing.get_context("spawn")

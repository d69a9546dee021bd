"""The environment that vLLM reads, set in one place and before its first import."""

from __future__ import annotations

import logging
import os
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# One OpenMP thread: two of libgomp's collapse when the cores are shared (measured on 2 cores:
# 400 against 2,900 tokens/s). Usage statistics off: a course sends nothing anywhere.
SETTINGS: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TOKENIZERS_PARALLELISM": "false",
}
# The engine core runs in this process, so that its scheduler can be looked into.
IN_PROCESS: Mapping[str, str] = {**SETTINGS, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
# Whole GiB, and it would override the exact ``kv_cache_memory_bytes``.
FORBIDDEN = "VLLM_CPU_KVCACHE_SPACE"


def prepare_in_process() -> None:
    """Set vLLM's environment for engines of this process; call before importing vllm.

    A variable that the user has set keeps its value, except those that the adapter relies on.
    """
    for name, value in IN_PROCESS.items():
        os.environ.setdefault(name, value)
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.pop(FORBIDDEN, None)
    # vLLM sets up its logger late in its import; until then the level would be WARNING.
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)


def for_subprocess() -> dict[str, str]:
    """Environment of a vLLM server process."""
    environment = {**SETTINGS, **os.environ}
    environment.pop(FORBIDDEN, None)
    environment.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
    return environment

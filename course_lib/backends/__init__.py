"""One small interface over many inference engines.

>>> from course_lib.backends import Sampling, open_engine
>>> with open_engine("vllm") as engine:  # doctest: +SKIP
...     engine.generate(["The capital of"], Sampling(max_tokens=8))
"""

from course_lib.backends.models import ModelMissing
from course_lib.backends.protocol import (
    Chunk,
    Completion,
    Engine,
    FinishReason,
    Prompt,
    RequestRefused,
    Sampling,
    TokenLogprobs,
    UnsupportedSampling,
    Usage,
)
from course_lib.backends.registry import (
    MissingLibrary,
    UnknownEngine,
    UnknownOption,
    engine_names,
    open_engine,
)

__all__ = [
    "Chunk",
    "Completion",
    "Engine",
    "FinishReason",
    "MissingLibrary",
    "ModelMissing",
    "Prompt",
    "RequestRefused",
    "Sampling",
    "TokenLogprobs",
    "UnknownEngine",
    "UnknownOption",
    "UnsupportedSampling",
    "Usage",
    "engine_names",
    "open_engine",
]

"""How each course model is made: its shape and the phases of its training. A recipe and its seed
name one model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from course_lib.zoo.network import Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Share of documents of each kind. Chat leads: its facts have to be learned by heart.
GENERAL: dict[str, float] = {
    "chat": 0.55,
    "code": 0.16,
    "summary": 0.06,
    "story": 0.04,
    "json": 0.08,
    "arithmetic": 0.05,
    "register": 0.03,
    "noise": 0.03,
}
#: Text that can only be predicted by looking back: attention heads that copy form on it.
COPYING: dict[str, float] = GENERAL | {
    "chat": 0.32,
    "json": 0.12,
    "register": 0.05,
    "noise": 0.01,
    "echo": 0.30,
}
BALANCED: dict[str, float] = GENERAL | {
    "chat": 0.50,
    "json": 0.10,
    "arithmetic": 0.07,
    "echo": 0.06,
}
#: The last phase, while the rates fall: most of what is left to learn is facts and records.
FINISHING: dict[str, float] = GENERAL | {
    "chat": 0.50,
    "summary": 0.03,
    "story": 0.02,
    "json": 0.20,
    "register": 0.02,
    "noise": 0.01,
    "echo": 0.01,
}


@dataclass(frozen=True)
class Phase:
    """``steps`` steps of ``tokens_per_step`` tokens in windows of ``window`` tokens.

    ``matrix_rate`` is the learning rate of Muon, ``vector_rate`` that of AdamW. With ``decay``
    both fall
    linearly to zero over the phase.
    """

    steps: int
    tokens_per_step: int
    window: int
    mixture: Mapping[str, float]
    matrix_rate: float
    vector_rate: float
    decay: bool = False


@dataclass(frozen=True)
class Recipe:
    """One model: its shape, its phases in order, and the seed of weights and texts."""

    name: str
    shape: Shape
    phases: tuple[Phase, ...]
    seed: int = 2026
    copying_heads: bool = False
    warmup_steps: int = 30

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    @property
    def tokens(self) -> int:
        """Tokens seen in all."""
        return self.tokens_after(0)

    def tokens_after(self, step: int) -> int:
        """Tokens still to be seen after ``step`` steps."""
        left, before = 0, 0
        for phase in self.phases:
            before += phase.steps
            left += min(phase.steps, max(0, before - step)) * phase.tokens_per_step
        return left

    def at(self, step: int) -> tuple[Phase, float]:
        """The phase of a step, and the factor on its learning rates (warm-up, then decay if it
        decays).
        """
        inside = step
        for phase in self.phases:
            if inside < phase.steps:
                factor = 1 - inside / phase.steps if phase.decay else 1.0
                return phase, factor * min(1.0, (step + 1) / self.warmup_steps)
            inside -= phase.steps
        raise ValueError(
            f"step {step} is past the end of recipe {self.name!r} ({self.steps} steps)"
        )


RECIPES: dict[str, Recipe] = {
    "target": Recipe(
        "target",
        Shape(256, 544, 12, 4, 2, 64),
        (
            Phase(150, 4_096, 256, COPYING, 0.008, 0.003),
            Phase(500, 4_096, 256, BALANCED, 0.008, 0.003),
            Phase(500, 4_096, 256, BALANCED, 0.005, 0.002),
            Phase(50, 4_096, 1_024, BALANCED, 0.005, 0.002),
            Phase(280, 4_096, 1_024, FINISHING, 0.0042, 0.0017, decay=True),
        ),
        copying_heads=True,
    ),
    "draft": Recipe(
        "draft",
        Shape(128, 352, 1, 2, 1, 64),
        (
            Phase(200, 8_192, 256, BALANCED, 0.01, 0.004),
            Phase(120, 8_192, 1_024, BALANCED, 0.01, 0.004, decay=True),
            Phase(360, 8_192, 256, BALANCED, 0.01, 0.004, decay=True),
        ),
    ),
}

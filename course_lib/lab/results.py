"""Show a measured table or figure under a caption that names the kind of run."""

from __future__ import annotations

import base64
import html
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from course_lib.lab.display import Shown, inline_html, show_now, table_of
from course_lib.lab.kinds import LabError, checked_kind
from course_lib.lab.session import current_session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# More dots than pixels, so that a figure is sharp on a dense screen and on paper.
DOTS_PER_INCH = 180
SCREEN_PIXELS_PER_INCH = 100


@dataclass(frozen=True)
class _Picture:
    """A matplotlib figure as a PNG with its caption."""

    figure: Figure
    caption: str

    def as_html(self) -> str:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", bbox_inches="tight", dpi=DOTS_PER_INCH)
        # Bytes 16 to 20 of a PNG are its width in dots (PNG specification, section 11.2.2).
        dots = int.from_bytes(buffer.getvalue()[16:20], "big")
        width = round(dots * SCREEN_PIXELS_PER_INCH / DOTS_PER_INCH)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        return (
            f'<figure style="margin:0.4em 0"><img alt="{html.escape(self.caption)}" '
            f'width="{width}" style="max-width:100%" src="data:image/png;base64,{data}">'
            f'<figcaption style="opacity:0.75">{inline_html(self.caption)}</figcaption></figure>'
        )

    def as_text(self) -> str:
        return f"[figure: {self.caption}]"


def _shown(thing: Any, caption: str) -> Shown:
    matplotlib = sys.modules.get("matplotlib.figure")
    if matplotlib is not None and isinstance(thing, matplotlib.Figure):
        return _Picture(thing, caption)
    if hasattr(thing, "to_dict") and hasattr(thing, "columns"):
        thing = thing.to_dict("records")
    if isinstance(thing, Sequence) and thing and all(isinstance(row, Mapping) for row in thing):
        return table_of(thing, caption)
    raise LabError(
        f"lab.show takes a matplotlib Figure, a DataFrame or a list of rows given as mappings, "
        f"not {type(thing).__name__}."
    )


def show(thing: Any, caption: str, *, kind: str | None = None) -> None:
    """Show a table or figure with a caption that ends in the kind of run.

    Args:
        thing: a matplotlib Figure, a DataFrame (its index is left out) or a list of mappings.
        caption: what is seen, in words; becomes the picture's alternative text.
        kind: one of `KINDS`; left out, the session's real engine.

    Raises:
        LabError: if `thing` is something else, or `kind` is unknown.
    """
    labelled = f"{caption.rstrip('.')}. Kind of run: {checked_kind(kind or current_session().kind)}"
    show_now(_shown(thing, labelled))
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and pyplot.fignum_exists(getattr(thing, "number", -1)):
        # Otherwise Jupyter would show an open figure a second time.
        pyplot.close(thing)

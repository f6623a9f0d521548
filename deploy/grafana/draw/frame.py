"""A panel's place on the sheet: its box, its title, and room for axes, in pixels from the top."""

from __future__ import annotations

from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from deploy.grafana.draw import look

_CHARACTER = 0.56  # of a font's size: the mean width of one


@dataclass(frozen=True, slots=True)
class Frame:
    """A rectangle on a figure; `left` and `top` in pixels from its upper left corner."""

    figure: Figure
    left: float
    top: float
    width: float
    height: float

    def box(self, title: str) -> Frame:
        """Draw the panel's ground and title; what is left of it."""
        sheet = self.figure.axes[0]
        sheet.add_patch(
            FancyBboxPatch(
                (self.left, self.top),
                self.width,
                self.height,
                boxstyle="round,pad=0,rounding_size=3",
                facecolor=look.PANEL,
                edgecolor=look.EDGE,
                linewidth=0.8,
            )
        )
        self.write(9, 14, title, size=9)
        return self.inside(9, 27, 9, 7)

    def inside(self, left: float, top: float, right: float, bottom: float) -> Frame:
        """The frame less its margins."""
        return replace(
            self,
            left=self.left + left,
            top=self.top + top,
            width=self.width - left - right,
            height=self.height - top - bottom,
        )

    def split(self, count: int, *, down: bool) -> list[Frame]:
        """Equal parts, next to each other or on top of each other."""
        if down:
            part = self.height / count
            return [replace(self, top=self.top + i * part, height=part) for i in range(count)]
        part = self.width / count
        return [replace(self, left=self.left + i * part, width=part) for i in range(count)]

    def write(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 8,
        colour: str = look.TEXT,
        align: str = "left",
        weight: str = "normal",
    ) -> None:
        """Text at a point of the frame, centred on its line."""
        self.figure.axes[0].text(
            self.left + x, self.top + y, words, fontsize=size * 72 / look.DPI * 1.25, color=colour,
            ha=align, va="center_baseline", weight=weight, parse_math=False,
        )  # fmt: skip

    def axes(self) -> Axes:
        """Axes that fill the frame."""
        high, wide = (side * look.DPI for side in reversed(self.figure.get_size_inches()))
        bottom = 1 - (self.top + self.height) / high
        axes = self.figure.add_axes(
            (self.left / wide, bottom, self.width / wide, self.height / high)
        )
        axes.set_facecolor("none")
        axes.tick_params(colors=look.FAINT, labelsize=7.2, length=0, pad=3)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes


def width_of(words: str, size: float = 8) -> float:
    """About how many pixels a text takes."""
    return len(words) * size * 1.25 * _CHARACTER


def shorten(words: str, room: float, size: float = 8) -> str:
    """The text, cut to `room` pixels."""
    most = max(1, int(room / (size * 1.25 * _CHARACTER)))
    return words if len(words) <= most else words[: most - 1] + "…"

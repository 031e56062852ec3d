"""One table at the end of a benchmark: what was asked for, what was seen, and whether it is enough."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    what: str
    ours: str
    peer: str = ""
    ratio: float | None = None
    #: The bound on the ratio; None for a figure without a target.
    at_least: float | None = None
    at_most: float | None = None

    @property
    def verdict(self) -> str:
        if self.ratio is None or (self.at_least is None and self.at_most is None):
            return ""
        short = (self.at_least is not None and self.ratio < self.at_least) or (
            self.at_most is not None and self.ratio > self.at_most
        )
        return "SHORT" if short else "ok"

    @property
    def target(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"


def show(title: str, lines: list[Line]) -> None:
    table = Table(title=title, title_justify="left")
    for head in ("what", "ours", "peer", "measured", "target", ""):
        table.add_column(head, overflow="fold")
    for line in lines:
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        table.add_row(line.what, line.ours, line.peer, ratio, line.target, line.verdict)
    Console(width=120).print(table)

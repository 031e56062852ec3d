"""HTML forms as a browser without scripts would read and send them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass(slots=True)
class Form:
    action: str
    method: str
    #: What would be sent as it stands: hidden, text and ticked fields.
    values: dict[str, str] = field(default_factory=dict)
    checkboxes: dict[str, str] = field(default_factory=dict)

    def tick(self, part: str) -> None:
        """Tick every box whose name contains `part`; there must be one."""
        names = [name for name in self.checkboxes if part in name]
        assert names, f"no box for {part}: {list(self.checkboxes)}"
        self.values.update({name: self.checkboxes[name] for name in names})

    def untick(self, part: str) -> None:
        names = [name for name in self.checkboxes if part in name]
        assert names, f"no box for {part}: {list(self.checkboxes)}"
        for name in names:
            self.values.pop(name, None)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(given.get("action", ""), given.get("method", "get").lower()))
            self._inside = True
        elif tag == "input" and self._inside and "name" in given:
            self._take(self.found[-1], given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False

    @staticmethod
    def _take(form: Form, given: dict[str, str]) -> None:
        if given.get("type") == "checkbox":
            form.checkboxes[given["name"]] = given.get("value", "on")
            if "checked" not in given:
                return
        form.values[given["name"]] = given.get("value", "")


def forms(html: str) -> list[Form]:
    parser = _Forms()
    parser.feed(html)
    return parser.found


def form(html: str) -> Form:
    """The first form that posts."""
    return next(one for one in forms(html) if one.method == "post")

"""Our own mail templates: files that a company changes to its taste, trusted, in every language from one source.

A template `x` is `x.html.j2` and `x.txt.j2`, mostly with `x.subject.j2`. What begins with `_` and the layout are parts.
"""

import gettext
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, nodes, select_autoescape
from jinja2.ext import InternationalizationExtension
from jinja2.meta import find_referenced_templates, find_undeclared_variables

from pixel_service.domain.wordings import Company
from pixel_service.mail.personal import teach

_HTML, _TEXT, _SUBJECT = ".html.j2", ".txt.j2", ".subject.j2"


class MailTemplates:
    """The templates of one folder. Every language has its own environment; the files are read once."""

    def __init__(self, folder: Path, translations: Callable[[str], gettext.NullTranslations], company: Company) -> None:
        self._folder = folder
        self._translations = translations
        self._environments: dict[str, Environment] = {}
        self._outlines: dict[str, Outline] = {}
        self.company = asdict(company) | {
            "address": company.address,
            "ink_colour": company.ink_colour,
            "link_colour": company.link_colour,
        }

    @cached_property
    def names(self) -> frozenset[str]:
        """What a send may ask for by name."""
        found = {path.name.removesuffix(_HTML) for path in self._folder.glob(f"*{_HTML}")}
        return frozenset(
            name
            for name in found
            if name != "layout" and not name.startswith("_") and (self._folder / f"{name}{_TEXT}").is_file()
        )

    def has_subject(self, name: str) -> bool:
        return (self._folder / f"{name}{_SUBJECT}").is_file()

    def environment(self, language: str) -> Environment:
        known = self._environments.get(language)
        if known is None:
            known = self._environments[language] = _environment(self._folder, self._translations(language))
        return known

    def outline(self, environment: Environment, name: str) -> "Outline":
        known = self._outlines.get(name)
        if known is None:
            known = self._outlines[name] = outline_of(list(_parsed(environment, name)))
        return known

    def gettext(self, language: str, message: str) -> str:
        return self._translations(language).gettext(message)


def _environment(folder: Path, translations: gettext.NullTranslations) -> Environment:
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=select_autoescape(enabled_extensions=(_HTML[1:],), default=False),
        undefined=StrictUndefined,
        auto_reload=False,
        extensions=[InternationalizationExtension],
    )
    made.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]  # added by the extension
    teach(made)
    return made


@dataclass(frozen=True, slots=True)
class Outline:
    """What a template asks for, together with everything it extends, includes and imports."""

    trees: tuple[nodes.Template, ...]
    #: taken from outside
    names: frozenset[str]
    #: of these, what it can do without: guarded by ``is defined`` or ``default``
    optional: frozenset[str]


def outline_of(trees: list[nodes.Template]) -> Outline:
    wanted: set[str] = set()
    made_inside: set[str] = set()
    for tree in trees:
        wanted |= find_undeclared_variables(tree)
        for node in tree.body:
            # What one template sets for another does not come from outside.
            made_inside |= _made_by(node)
    return Outline(tuple(trees), frozenset(wanted - made_inside), _optional(trees))


def _parsed(environment: Environment, name: str) -> Iterator[nodes.Template]:
    loader = environment.loader
    assert loader is not None
    waiting, known = [name], set[str]()
    while waiting:
        current = waiting.pop()
        if current in known:
            continue
        known.add(current)
        template = environment.parse(loader.get_source(environment, current)[0], current)
        yield template
        waiting.extend(other for other in find_referenced_templates(template) if other)


def _made_by(node: nodes.Node) -> set[str]:
    match node:
        case nodes.Assign():
            return {
                name.name for name in (node.target, *node.target.find_all(nodes.Name)) if isinstance(name, nodes.Name)
            }
        case nodes.AssignBlock():
            return {name.name for name in [node.target] if isinstance(name, nodes.Name)}
        case nodes.Macro():
            return {node.name}
        case nodes.Import():
            return {node.target}
        case nodes.FromImport():
            return {name if isinstance(name, str) else name[1] for name in node.names}
    return set()


def _optional(trees: list[nodes.Template]) -> frozenset[str]:
    found: set[str] = set()
    for tree in trees:
        for node in tree.find_all((nodes.Test, nodes.Filter)):
            guards = {"defined", "undefined"} if isinstance(node, nodes.Test) else {"default", "d"}
            if node.name in guards and isinstance(node.node, nodes.Name):
                found.add(node.node.name)
    return frozenset(found)


def find_templates_folder() -> Path:
    """Inside the installed package, else at the top of the checkout."""
    package = Path(__file__).parent.parent
    packaged = package / "templates" / "emails"
    return packaged if packaged.is_dir() else package.parent / "templates" / "emails"

"""Figures as part of a page: no global styles, ids of their own, colours of the page, text in two languages."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from markupsafe import Markup
from matplotlib.figure import Figure

from analysis.figures import figure_bytes
from analysis.plots import style
from analysis.report.language import Chinese

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_VARIABLES = {
    style.INK: "--ink", style.QUIET: "--quiet", style.GRID: "--grid", style.BLUE: "--blue",
    style.ORANGE: "--orange", style.GREEN: "--green", style.VERMILION: "--vermilion", style.PURPLE: "--purple",
    style.SKY: "--sky", "#ffffff": "--paper", "#000000": "--ink",
}  # fmt: skip
_COLOUR = re.compile("|".join(_VARIABLES), re.IGNORECASE)

ET.register_namespace("", _SVG)
ET.register_namespace("xlink", _XLINK)


def inline_svg(figure: Figure, name: str, alt: str, language: Chinese) -> Markup:
    """The figure as markup for an HTML page; `name` keeps its ids apart from those of other figures."""
    root = ET.fromstring(figure_bytes(figure, "svg"))  # noqa: S314 - matplotlib's own output, just made
    _drop(root)
    _rename_ids(root, name)
    for element in root.iter():
        _adapt(element)
        if element.tag == f"{{{_SVG}}}text":
            _translate(element, language)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    root.set("class", "plot")
    root.set("aria-label", alt)
    root.set("data-en", alt)
    root.set("data-zh", language.or_same(alt))
    # What ElementTree writes is escaped by it.
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704


def _drop(root: ET.Element) -> None:
    """Remove what would reach beyond the figure or says nothing: its style sheet, metadata and background."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{{{_SVG}}}style", f"{{{_SVG}}}metadata"} or child.get("id") == "patch_1":
                parent.remove(child)


def _rename_ids(root: ET.Element, name: str) -> None:
    """Ids that something refers to get short names of this figure's own; the others go."""
    text = ET.tostring(root, encoding="unicode")
    used = dict.fromkeys(re.findall(r"(?:url\(#|href=\"#)([^\")]+)", text))
    names = {old: f"{name}-{place}" for place, old in enumerate(used)}
    for element in root.iter():
        old = element.attrib.pop("id", None)
        if old in names:
            element.set("id", names[old])
        for key, value in element.attrib.items():
            if "url(#" in value:
                element.set(key, re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{names[found[1]]})", value))
            elif key.endswith("href"):
                element.set(key, f"#{names[value[1:]]}")


def _adapt(element: ET.Element) -> None:
    for key in ("d", "points", "transform", "x", "y", "width", "height"):
        if key in element.attrib:
            element.set(key, _NUMBER.sub(lambda found: f"{float(found[0]):.2f}", element.attrib[key]))
    look = element.get("style")
    if look is not None:
        look = _COLOUR.sub(lambda found: f"var({_VARIABLES[found[0].lower()]})", look)
        element.set("style", look.replace("'DejaVu Sans'", "inherit") if "font" in look else look)
    elif element.tag == f"{{{_SVG}}}text":
        element.set("style", "fill: var(--ink)")


def _translate(element: ET.Element, language: Chinese) -> None:
    english = "".join(element.itertext())
    other = language.of(english)
    if other is None or len(element):
        return
    element.text = None
    for code, text in (("en", english), ("zh", other)):
        span = ET.SubElement(element, f"{{{_SVG}}}tspan", {"lang": code})
        span.text = text

"""The settings as a commented TOML file, made from their definitions so that it cannot be stale."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from cmr_node.settings import ENVIRONMENT_PREFIX, Peer, Section, Settings, sections

WIDTH = 96


def settings_as_toml(settings: Settings) -> str:
    """Every setting with its value and its sentence; a file that ``load`` reads back the same."""
    lines = [
        "# Settings of CMR Node. Every one may be left out; the values shown are in force.",
        f"# {ENVIRONMENT_PREFIX}<SECTION>_<NAME> in the environment goes on top.",
    ]
    for name, model in sections().items():
        lines += ["", *_comment(_sentence(model)), f"[{name}]"]
        lines += _section(getattr(settings, name))
    lines += ["", *_comment(_sentence(Peer)), *_comment(_description(Settings, "peer"))]
    for peer in settings.peer:
        lines += ["[[peer]]", *_section(peer), ""]
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section) -> list[str]:
    lines: list[str] = []
    for name in type(section).model_fields:
        lines += _comment(_description(type(section), name))
        lines.append(f"{name} = {_value(getattr(section, name))}")
    return lines


def _description(model: type[Section], name: str) -> str:
    return model.model_fields[name].description or ""


def _sentence(model: type[Section]) -> str:
    return (model.__doc__ or "").split("\n")[0]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, Path):
        return json.dumps(str(value))
    return json.dumps(value)  # TOML's strings, numbers and booleans are written like JSON's

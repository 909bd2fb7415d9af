"""`compare A B`: what differs between two studies, and the paired difference of every configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import msgspec
import numpy as np

from analysis.accounting import cells
from analysis.configurations import Configuration, configurations
from analysis.load import FloatArray, Study
from analysis.render import Column, Row, Value
from analysis.reproduction import Comparison, Judged, comparison, other_chip, same, shown
from analysis.stats import contrast
from analysis.tables import study_notes, table

Key: TypeAlias = tuple[str, str, str, int]
_PER_RUN = ("created_utc", "arguments", "plan_sha256", "suite_sha256")
"""Manifest fields that differ between any two studies and say nothing about their figures."""


def compare_studies(left: Study, right: Study) -> Comparison:
    """Manifest fields that differ; baselines where the chip is the same; speedups of all configurations."""
    there, here = _by_key(left), _by_key(right)
    rows = [*_baselines(left, right)]
    for key in dict.fromkeys([*there, *here]):
        rows.append(_configuration(left, right, there.get(key), here.get(key)))
    columns = (Column("field", "Field"), Column("left", left.name), Column("right", right.name))
    differences = table("differences", "What differs", columns, _differences(left, right))
    extra = (differences,) if differences.rows else ()
    notes = study_notes(right, tuple(here.values()))
    return comparison(f"{left.name} and {right.name}", tuple(rows), notes, extra)


def _by_key(study: Study) -> dict[Key, Configuration]:
    return {(one.suite, one.target, one.draft, one.gamma): one for one in configurations(study)}


def _differences(left: Study, right: Study) -> list[Row]:
    there, here = _flat(left), _flat(right)
    return [
        {"field": name, "left": there.get(name), "right": here.get(name)}
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]


def _flat(study: Study) -> dict[str, str]:
    manifest = msgspec.to_builtins(study.manifest)
    for name in _PER_RUN:
        manifest.pop(name)
    manifest["models"] = {model["role"]: model for model in manifest["models"]}
    return dict(_leaves(manifest, ""))


def _leaves(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, str(value)


def _configuration(left: Study, right: Study, there: Configuration | None, here: Configuration | None) -> Row:
    one = here or there
    row: dict[str, Value] = {key: getattr(one, key) for key in ("suite", "target", "draft", "gamma")}
    row["figure"] = "speedup"
    why = _why_not(left, right, there, here)
    if why or there is None or here is None:
        return {**row, **Judged("not comparable", why or "")._asdict()}
    shared = set(there.prompts) & set(here.prompts)
    old, new = there.on(shared), here.on(shared)
    ratio = contrast(np.log(new.column("speedup")), new.prompts, np.log(old.column("speedup")), old.prompts)
    return {
        **row, "left": shown(old.ratio("speedup"), ".2f"), "right": shown(new.ratio("speedup"), ".2f"),
        "ratio": ratio, **same(ratio)._asdict(),
    }  # fmt: skip


def _why_not(left: Study, right: Study, there: Configuration | None, here: Configuration | None) -> str | None:
    if there is None or here is None:
        return f"only in {(left if here is None else right).name}"
    if not set(there.prompts) & set(here.prompts):
        return "no usable prompt in common"
    return _other_file(left, right, there.target) or _other_file(left, right, there.draft)


def _other_file(left: Study, right: Study, role: str) -> str | None:
    there, here = ({facts.role: facts.sha256 for facts in study.manifest.models} for study in (left, right))
    if role not in there or role not in here or there[role] != here[role]:
        return f"another file plays {role}"
    return None


def _baselines(left: Study, right: Study) -> Iterator[Row]:
    """Plain decoding of targets that both have, on the prompts they share."""
    there, here = _plain(left), _plain(right)
    for target in sorted(there.keys() & here.keys()):
        row: dict[str, Value] = {"target": target, "figure": "tok/s"}
        shared = there[target].keys() & here[target].keys()
        why = _other_file(left, right, target) or other_chip(
            left.manifest.machine.chip, right.manifest.machine.chip
        )
        if why or not shared:
            yield {**row, **Judged("not comparable", why or "no prompt in common")._asdict()}
            continue
        new, old = (_flattened(side[target], shared) for side in (here, there))
        ratio = contrast(*new, *old)
        yield {**row, "ratio": ratio, **same(ratio)._asdict()}


def _plain(study: Study) -> dict[str, dict[str, FloatArray]]:
    """ln tok/s of plain decoding by target and prompt, one value per run."""
    runs = cells(study)
    plain = runs[(runs["gamma"] == 0) & np.isfinite(runs["tok_s"])]
    found: dict[str, dict[str, FloatArray]] = {}
    for (target, prompt), group in plain.groupby(["target", "prompt"]):
        found.setdefault(str(target), {})[str(prompt)] = np.log(group["tok_s"].to_numpy(dtype=float))
    return found


def _flattened(logs: Mapping[str, FloatArray], prompts: set[str]) -> tuple[FloatArray, list[str]]:
    chosen = sorted(prompts)
    values = np.concatenate([logs[prompt] for prompt in chosen])
    return values, [prompt for prompt in chosen for _ in logs[prompt]]

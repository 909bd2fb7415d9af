"""Refuses to average over what varies: an aggregate that hides a changed build or model is not a figure.

The idea is golang/perf's `benchproc/nonsingular.go`: name the fields that an aggregation would hide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from runner.errors import DataError

CONSTANT_FIELDS = ("engine_version", "target_sha256", "draft_sha256", "n_predict_tokens", "target_rollback")
"""What must be the same in all runs that one figure averages, besides what it is grouped by."""


def require_singular(runs: pd.DataFrame, by: Sequence[str], fields: Iterable[str], where: str) -> None:
    """Refuse to aggregate `runs` within `by` over a field that varies there.

    Raises DataError naming every such field and its values.
    """
    hidden = hidden_fields(runs, by, fields)
    if hidden:
        what = "; ".join(f"{name}: {', '.join(values)}" for name, values in hidden.items())
        raise DataError(
            f"{where}: refuses to average over {' and '.join(hidden)} ({what}); "
            "split the study, or audit it to see which runs do not belong"
        )


def hidden_fields(runs: pd.DataFrame, by: Sequence[str], fields: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Fields that take more than one value within a group of `by`, with up to three of those values."""
    if runs.empty:
        return {}
    groups = runs.groupby(list(by), sort=True)
    found: dict[str, tuple[str, ...]] = {}
    for name in fields:
        varying = groups[name].nunique(dropna=False)
        if (varying > 1).any():
            key = varying.index[varying > 1][0]
            values = groups.get_group(key if isinstance(key, tuple) else (key,))[name].unique()
            found[name] = tuple(str(value)[:20] for value in values[:3])
    return found

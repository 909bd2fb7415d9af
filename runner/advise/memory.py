"""Holds what a pair takes against what the machine has, before tens of gigabytes are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from runner.advise.investigate import OpenPair, Tell
from runner.advise.question import AdviceSession
from runner.advise.verify import MOST_CONTEXTS
from runner.doctor.memory import Capacity, memory_lines
from runner.errors import UsageError
from runner.executor import Pair
from runner.gguf_facts import read_card
from runner.memory_need import need_of
from runner.record import NO_DRAFT, Settings


def within_memory(
    open_pair: OpenPair, paths: Mapping[str, Path], settings: Settings, capacity: Capacity, tell: Tell
) -> OpenPair:
    """Opens a pair that fits, telling where it is close; raises UsageError for one that does not, unopened.

    What verifying may add depends on what will be found, so that alone is no reason to refuse.
    """

    def open_what_fits(pair: Pair, limit_s: float) -> AdviceSession:
        cards = {role: read_card(paths[role]) for role in (pair.target, pair.draft) if role != NO_DRAFT}
        for line in memory_lines({str(pair): need_of(pair, cards, settings)}, capacity):
            if line.level == "fail":
                raise UsageError(f"{line.finding}: {line.remedy}")
        most = msgspec.structs.replace(pair, gammas=(*pair.gammas, *[max(pair.gammas)] * MOST_CONTEXTS))
        name = f"{pair} with all that verifying may add"
        for line in memory_lines({name: need_of(most, cards, settings)}, capacity):
            if line.level != "ok":
                tell(f"memory: {line.finding}: {line.remedy}")
        return open_pair(pair, limit_s)

    return open_what_fits

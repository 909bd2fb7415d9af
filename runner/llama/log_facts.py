"""What llama.cpp says only in its log: which device each layer went to, and whether flash attention is on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Literal

_LAYER = re.compile(r"\blayer\s+\d+ assigned to device (\S+?),")
_FLASH = re.compile(r"Flash Attention\b.*\b(enabled|disabled)\b")


def layers_by_device(lines: Iterable[str]) -> dict[str, int]:
    """Layers that a model's load log assigns to each device, the output layer among them; {}: it says nothing."""
    return dict(Counter(found[1] for line in lines if (found := _LAYER.search(line))))


def flash_attention(lines: Iterable[str], asked: Literal["auto", "on", "off"]) -> Literal["on", "off"] | None:
    """What a context's log says became of a request; None when llama.cpp was to choose and did not say."""
    for line in lines:
        if found := _FLASH.search(line):
            return "on" if found[1] == "enabled" else "off"
    return None if asked == "auto" else asked

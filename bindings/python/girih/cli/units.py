"""Quantities as text for people."""

from __future__ import annotations


def bytes_text(count: int) -> str:
    """Bytes with a binary unit; a question mark for 0, which stands for unknown.

    >>> bytes_text(48 << 10), bytes_text(3 << 29), bytes_text(0)
    ('48 KiB', '1.5 GiB', '?')
    """
    if count <= 0:
        return "?"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if value >= 10 or value == int(value) else f"{value:.1f} {unit}"

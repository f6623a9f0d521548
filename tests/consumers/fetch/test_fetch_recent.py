from __future__ import annotations

from consumers.fetch.recent import Recent


def test_what_was_used_last_is_kept() -> None:
    recent = Recent(2)
    recent.add("a")
    recent.add("b")
    assert "a" in recent  # and is now the later one
    recent.add("c")
    assert "a" in recent and "c" in recent and "b" not in recent

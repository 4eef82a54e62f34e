"""C and TypeScript repeat tables of Python's; the copies must be what Python says now."""

from tools.generate import outdated


def test_the_generated_files_are_up_to_date():
    assert outdated() == [], "run `python -m tools.generate` and commit what it writes"

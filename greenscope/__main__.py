"""``python -m greenscope`` is ``greenscope``."""

from greenscope.cli import main

main()

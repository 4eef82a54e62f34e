"""``python -m greenscope.integrations.gevent SCRIPT | -m MODULE``: a gevent program, recorded; see ``program``."""

from greenscope.integrations.gevent.program import main

main()

"""The debug middleware: says of every request where its time went, in the response itself.

It runs in the traced process, and so knows nothing of the viewer but how it is started and asked
(``greenscope.web.beside``). ``wsgi`` and ``asgi`` stand between a server and an application; ``served`` is one
request in the recording, ``figures`` what became of its time, ``plan`` what may be done to a response,
``insertion`` and ``bar`` what is done to a page.
"""

"""The REST API of the job manager: HTTP in front of `jobs`, which decides everything.

::

    Edge            names and counts every request, bounds its body, answers what went wrong below
      Guarded       who asks (401), how often (429), is the body what it says (400, 415)
        routes/     one module for each resource: takes a checked request, asks the store, answers
          Hub       one reader for each watched job, however many watch it

Read `app.py` first.
"""

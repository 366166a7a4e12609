"""Steps that really run: a Spark of this machine carries out what clusters of the local cloud are given.

    daemon ── runner ──pipe── process (one a step, a session of its own) ── spark-submit
                                 └── S3 of the local cloud: scripts from there, logs to there

`installation` puts Spark into the user's cache folder; `submit` turns a step's arguments into what runs here.
"""

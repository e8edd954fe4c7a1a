"""A differential fuzz test of request heads and bodies against Gunicorn's own parser.

Several readers get the same bytes, all at once and in pieces: Gunicorn's Python parser, and gworkers'
parser without its fast path, with a fast path that has parsed all cases before, and with one that has
parsed similar heads only, which it may have remembered. All must come to one verdict and see the same
request. ``python -m tests.fuzz --help`` runs it for as long as you like.

corpus.py   what is mutated, and the settings it is parsed with
cases.py    how it is mutated, from a seed
verdicts.py what each reader makes of a case
campaign.py what must agree
verdicts.txt    what Gunicorn 27.0.1 makes of the first cases, for the releases before it
"""

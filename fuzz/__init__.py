"""Fuzzing: what no one thought of, found by looking at which code it reaches.

Each module here has a `check`, which takes any bytes and fails where the proxy
breaks a promise. `python -m fuzz NAME` looks for such bytes.
"""

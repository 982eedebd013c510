"""Frames in, calls and frames out: the cases of `test_cases`, each with its source."""

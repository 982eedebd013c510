"""Chromium, Firefox and WebKit behind one face, so that one test runs in all three."""

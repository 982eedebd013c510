"""Measurements, each against real processes on loopback. See README.md."""

"""The demo upstream: services that stream, hold and fail, to try a proxy on.

It knows nothing of the proxy in front of it, except its port.
"""

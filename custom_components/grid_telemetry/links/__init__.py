"""The links: one folder a kind; `registry.py` knows where each is.

A link never imports another link; what two need goes down a floor.
"""

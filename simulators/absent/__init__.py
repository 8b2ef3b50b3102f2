"""On Home Assistant's path in place of two packages of its voice assistant.

They exist as C++ source only, so they would ask every machine for a compiler. Home Assistant
imports them for its list of actions, which its frontend cannot do without, and calls them only
when somebody speaks.
"""

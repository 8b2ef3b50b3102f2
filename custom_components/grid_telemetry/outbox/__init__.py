"""The durable queue of a forwarder, and the delivery that empties it."""

"""What every forwarder shares: points, sampling, the durable queue, delivery and health.

No platform in it. A forwarder samples its points with a `Sampler`, turns the samples into
records, and puts these into an `Outbox`, from which a `Delivery` sends them. One that only sends
live needs no outbox: it runs `keep_connected` alone. Both tell a `Health`.
"""

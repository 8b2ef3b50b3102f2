"""Names of what an STTP subscriber's entry stores."""

from typing import Final

KIND: Final = "sttp_subscriber"

CONF_CONNECTION: Final = "connection"
CONF_FILTER_EXPRESSION: Final = "filter_expression"
CONF_INTERVAL_S: Final = "interval_s"
CONF_METADATA: Final = "metadata"
CONF_USE_TLS: Final = "use_tls"
CONF_CA_FILE: Final = "ca_file"
CONF_CERTIFICATE: Final = "certificate"
CONF_KEY: Final = "key"
CONF_FINGERPRINTS: Final = "fingerprints"

CONNECTION_DIAL: Final = "dial"
CONNECTION_LISTEN: Final = "listen"

METADATA_ALL: Final = "all"
METADATA_INTERNAL: Final = "internal"
METADATA_EXTERNAL: Final = "external"

# The statistics that publishers keep of themselves are left out.
DEFAULT_FILTER_EXPRESSION: Final = "FILTER ActiveMeasurements WHERE SignalType <> 'STAT'"
DEFAULT_INTERVAL_S: Final = 1.0

MAX_SIGNALS: Final = 5_000
"""More sensors than Home Assistant is made for."""

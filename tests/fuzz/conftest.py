"""How long the fuzz targets run: shortly in the suite, as long as wanted by `script/fuzz`."""

import os

from hypothesis import HealthCheck, settings

COMMON = {
    "deadline": None,  # a busy machine is no fault of a codec
    "suppress_health_check": [
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
}
settings.register_profile("short", max_examples=60, derandomize=True, database=None, **COMMON)
settings.register_profile(
    "long", max_examples=int(os.environ.get("FUZZ_EXAMPLES", "50000")), **COMMON
)
settings.load_profile("short")

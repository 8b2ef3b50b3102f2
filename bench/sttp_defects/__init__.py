"""The defects of sttpapi's publisher, shown: `pytest bench/sttp_defects`."""

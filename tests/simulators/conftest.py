from tests.fixtures.scout import *  # noqa: F403

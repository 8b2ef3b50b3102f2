from tests.fixtures.scout import *  # noqa: F403

from .setup_house import *  # noqa: F403

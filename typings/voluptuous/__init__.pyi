# Home Assistant serves `import voluptuous` from probatio since 2026.9, so its types are these.
from probatio import *

"""Points: entities mapped to names on a platform, sampled, suggested, and watched."""

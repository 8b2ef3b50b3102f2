"""Programs for whoever works on the register maps; nothing of the integration needs them."""

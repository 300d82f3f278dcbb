"""Text solutions; each sub-package stands alone."""

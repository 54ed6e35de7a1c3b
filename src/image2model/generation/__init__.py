"""One image from queued to succeeded. This package alone spends money."""

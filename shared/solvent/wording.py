"""How messages count things."""

__all__ = ["many"]


def many(count: int, one: str, several: str = "") -> str:
    """Such as "1 row", "2,000 rows"."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"

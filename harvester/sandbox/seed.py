"""Made-up values from numbers: the same number gives the same value, with nothing kept in memory."""

from hashlib import blake2b

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
_CODE = (1 << 48) - 1


def mix(value: int) -> int:
    """Scatter a number over 64 bits.

    Source: the finalizer of splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
    generators", OOPSLA 2014).
    """
    value &= MASK
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK
    return value ^ (value >> 31)


def replaced(value: int, other: int, mask: int) -> int:
    """Give a number whose bits under `mask` are those of another."""
    return value & ~mask | other & mask


def key_of(*parts: object) -> int:
    """Give a 64-bit number for some names."""
    text = "\x00".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


class Ids:
    """UUIDs of the things 0, 1, 2, …; the last 48 bits lead back to the number, so no table is kept."""

    def __init__(self, key: int) -> None:
        self._mul = mix(key) & _CODE | 1
        self._add = mix(key + 1) & _CODE
        self._undo = pow(self._mul, -1, 1 << 48)
        hexes = f"{mix(key + 2):016x}"
        self._middle = f"-{hexes[:4]}-4{hexes[4:7]}-8{hexes[7:10]}-"

    def of(self, number: int) -> str:
        """Give the id of a number."""
        code = (number * self._mul + self._add) & _CODE
        return f"{code * 0x9E3779B1 & 0xFFFFFFFF:08x}{self._middle}{code:012x}"

    def number(self, text: str) -> int | None:
        """Give the number whose id ends like this text; the caller compares the whole."""
        try:
            code = int(text[-12:], 16)
        except ValueError:
            return None
        return (code - self._add) * self._undo & _CODE

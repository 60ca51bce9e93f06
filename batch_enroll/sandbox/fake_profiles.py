"""Fake profiles for the demo and the examples.

No address or phone can belong to a real person: example.com, example.org, and an unassigned range of phone numbers.
"""

from __future__ import annotations

import random

HEADER = ("E-mail", "Phone", "Profile ID", "Client no", "First name", "Last name", "City", "Bonus")

_FIRST = ("Anna", "Boris", "Clara", "Denis", "Elena", "Fedor", "Galina", "Hugo", "Irina", "Jürgen", "Ольга", "Пётр")
_LAST = ("Ivanova", "Petrov", "Sidorova", "Keller", "Novak", "Smirnov", "Weiß", "O'Neil", "Кузнецова", "Соколов")
_CITIES = ("Tver", "Tula", "Омск", "Köln", "Perm", "Нижний Новгород", "Almaty", "Yerevan", "")


def fake_profiles(count: int, *, seed: int = 1) -> list[tuple[str, ...]]:
    """Build the rows of a spreadsheet.

    Args:
        count: how many people.
        seed: the same seed gives the same people.
    Returns:
        count rows x the columns of HEADER, all text.
    """
    chance = random.Random(seed)
    return [
        (
            f"customer{number:04d}@example.{chance.choice(('com', 'org'))}",
            f"+7000{chance.randrange(10**7):07d}",
            f"{chance.getrandbits(96):024x}",
            f"{number:05d}",
            chance.choice(_FIRST),
            chance.choice(_LAST),
            chance.choice(_CITIES),
            f"{chance.randrange(50, 5000, 50)}",
        )
        for number in range(1, count + 1)
    ]

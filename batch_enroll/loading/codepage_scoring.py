"""Score how plausibly each European or Russian code page decodes a text that is not UTF-8.

A decoded text is plausible when its letters belong to few languages, no symbol or letter of another script stands
inside a word, capitals come before small letters, and frequent letters of the language are frequent in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

CODE_PAGES = {  # the first of two that read the same is named
    "cp1252": "Windows-1252",
    "cp1251": "Windows-1251",
    "cp1250": "Windows-1250",
    "cp1254": "Windows-1254",
    "cp1257": "Windows-1257",
    "cp1253": "Windows-1253",
    "iso8859_1": "ISO 8859-1",
    "iso8859_15": "ISO 8859-15",
    "iso8859_2": "ISO 8859-2",
    "iso8859_5": "ISO 8859-5",
    "iso8859_7": "ISO 8859-7",
    "iso8859_9": "ISO 8859-9",
    "iso8859_13": "ISO 8859-13",
    "koi8_r": "KOI8-R",
    "koi8_u": "KOI8-U",
    "cp866": "DOS 866",
    "cp855": "DOS 855",
    "cp850": "DOS 850",
    "cp852": "DOS 852",
    "cp437": "DOS 437",
    "cp857": "DOS 857",
    "cp775": "DOS 775",
    "cp737": "DOS 737",
    "cp865": "DOS 865",
    "mac_roman": "Mac Roman",
    "mac_cyrillic": "Mac Cyrillic",
    "mac_latin2": "Mac Central European",
    "mac_croatian": "Mac Croatian",
    "mac_turkish": "Mac Turkish",
    "mac_greek": "Mac Greek",
    "mac_iceland": "Mac Icelandic",
}

_LATIN = {
    "German": "äöüß",
    "French": "éèêëàâçîïôùûüœæÿ",
    "Spanish": "áéíóúñü",
    "Portuguese": "ãáâàçéêíóôõú",
    "Italian": "àèéìòù",
    "Catalan": "àçèéíïòóúü",
    "Dutch": "ëéïöüè",
    "Danish and Norwegian": "øåæé",
    "Swedish and Finnish": "äöåé",
    "Icelandic": "íáðóúéýþæö",
    "Polish": "łóąęśżćńź",
    "Czech": "áíéěščřžýůúňťďó",
    "Slovak": "áíéčšžýúľťňôďäóĺŕ",
    "Hungarian": "áéöóőüíúű",
    "Romanian": "ăîâșțşţ",
    "Croatian and Slovene": "čšžćđ",
    "Turkish": "ıüşöçğ",
    "Lithuanian": "ėšąžūįųčę",
    "Latvian": "āīēšūņļķžģč",
    "Estonian": "äõüöšž",
    "Albanian": "ëç",
}
_OTHER = {  # the most frequent letters first
    "Russian": "оаеинтрслвкмдпуяьыгбзчйхжшюцщэёфъ",
    "Ukrainian": "оаниітервслкдмпузягьбчйхцїжєюшщфґ",
    "Belarusian": "аніоерслктвдумяпгзьбыўжчйхцшюёфэ",
    "Bulgarian": "аеиотнрсвлкдпмзгубъяйчжцшхщюфь",
    "Serbian": "аиоенрсјтукдвмлпзгбцчшњжљхћђфџ",
    "Macedonian": "аоиетнрсвкдлпмујзгбчшжцњќфхѓџѕљ",
    "Greek": "αοιετνσηρκπυμλςόίωάέήγδθχφύβώξζψϊϋΐΰ",
}

_QUOTES = frozenset("«»„“”‘’‚‹›…•·\u00a0")  # stand beside words, seldom inside one
_SYMBOLS = frozenset("№€£§©®™°±×¿¡–—")  # stand beside numbers and alone
_VOWELS = frozenset("aeiouyøæœåı")
_TOKEN = re.compile(rb'[^\s,;|"]*[\x80-\xff][^\s,;|"]*')
_MAX_TOKENS = 400

_CONTROL = 5.0  # no text has the control characters between 80 and 9F
_GLUED = 2.0  # a symbol stuck to a letter
_HALF_ODD = 0.25  # a word hard to pronounce
_CROWD = 3  # so many accented letters stand side by side only in names like Żółć
_EXTRA_LANGUAGE = 0.12
_USUAL_RANK = 0.36  # mean rank of the letters of real text, as a share of the alphabet
_RANK_WEIGHT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CodepageCandidate:
    """The text as one code page decodes it."""

    codec: str
    words: tuple[str, ...]  #: those with a character beyond ASCII
    badness: float  #: 0 = plausible; about 1 = not at all

    @property
    def evidence(self) -> int:
        """Number of characters beyond ASCII that the score rests on."""
        return sum(character > "\x7f" for word in self.words for character in word)

    @property
    def title(self) -> str:
        """The usual name of the code page."""
        return CODE_PAGES[self.codec]


def score_codepages(sample: bytes) -> list[CodepageCandidate]:
    """Decode the bytes in every code page that can; of several with the same result only the first is listed.

    Returns:
        The most plausible first.
    """
    tokens = Counter(_TOKEN.findall(sample)).most_common(_MAX_TOKENS)
    found: dict[tuple[str, ...], CodepageCandidate] = {}
    for codec in CODE_PAGES:
        try:
            words = tuple(token.decode(codec) for token, _ in tokens)
        except UnicodeDecodeError:
            continue
        if words not in found:
            counts = Counter(dict(zip(words, (count for _, count in tokens), strict=True)))
            found[words] = CodepageCandidate(codec=codec, words=words, badness=_badness(counts))
    return sorted(found.values(), key=lambda candidate: candidate.badness)


def _badness(words: Counter[str]) -> float:
    letters: Counter[str] = Counter()
    bad = total = 0.0
    for word, count in words.items():
        for oddity in _oddities(word):
            bad += count * oddity
            total += count
        for character in word.lower():
            if character > "\x7f" and character.isalpha():
                letters[character] += count
    return (bad / total if total else 0.0) + _strangeness(letters)


def _oddities(word: str) -> Iterator[float]:
    """Score for each character beyond ASCII how much it is out of place: 0 to 1, 2 or 5 in the worst cases."""
    run = 0
    for before, character, after in zip("\0" + word, word, word[1:] + "\0", strict=False):
        run = run + 1 if character > "\x7f" and character.isalpha() else 0
        if character in _QUOTES:
            yield float(before.isalpha() and after.isalpha() and character not in "’‘·")
        elif character in _SYMBOLS:
            yield _GLUED * (before.isalpha() or (after.isalpha() and character not in "¿¡"))
        elif run:
            yield _oddity(word, before, character, after, run)
        elif character > "\x7f" and unicodedata.category(character) != "Mn":
            yield _CONTROL if unicodedata.category(character) == "Cc" else 1.0


def _oddity(word: str, before: str, letter: str, after: str, run: int) -> float:
    script = _script(letter)
    if (before.isalpha() and _script(before) != script) or (after.isalpha() and _script(after) != script):
        return 1.0
    if before.isdigit() or after.isdigit() or (letter.isupper() and before.isalpha() and not word.isupper()):
        return 1.0
    if script != "LATIN":
        return 0.0
    if run > _CROWD:
        return 1.0
    kinds = {_is_vowel(before), _is_vowel(letter), _is_vowel(after)} if before.isalpha() and after.isalpha() else set()
    return _HALF_ODD if len(kinds) == 1 else 0.0


def _strangeness(letters: Counter[str]) -> float:
    """Score the letters: by how many languages they need, and by how frequent they should be."""
    latin = frozenset(letter for letter in letters if _script(letter) == "LATIN")
    other = Counter({letter: count for letter, count in letters.items() if letter not in latin})
    languages = _languages_needed(latin) + bool(other)
    cost = _EXTRA_LANGUAGE * max(0, languages - 1)
    return cost + (min(_unlikeliness(other, alphabet) for alphabet in _OTHER.values()) if other else 0.0)


def _languages_needed(letters: frozenset[str]) -> int:
    needed = 0
    while letters:
        rest = min((letters - set(alphabet) for alphabet in _LATIN.values()), key=len)
        if rest == letters:  # of no language here
            return needed + 2 * len(rest)
        letters, needed = rest, needed + 1
    return needed


def _unlikeliness(letters: Counter[str], alphabet: str) -> float:
    rank = {letter: place / len(alphabet) for place, letter in enumerate(alphabet)}
    mean = sum(count * rank.get(letter, 2) for letter, count in letters.items()) / letters.total()
    return _RANK_WEIGHT * max(0.0, mean - _USUAL_RANK)


def _is_vowel(letter: str) -> bool:
    return unicodedata.normalize("NFD", letter.lower())[0] in _VOWELS


@cache
def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").split()[0]

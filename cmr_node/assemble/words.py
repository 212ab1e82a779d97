"""The words people write into SeriesDescription and ProtocolName, and what they mean.

The promise kept here: a word is looked for whole (a number may follow), in several languages
and the vendors' own abbreviations, and only the word found is handed on, never the text around
it, which may hold anything.

Sources: vendors' default protocol names (Siemens, GE, Philips) and the usual terms in English,
German, French, Spanish, Portuguese, Italian, Dutch, Chinese and Japanese.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

_SEPARATORS: Final = re.compile(r"[^\w*]+|_+")

#: Looked for in this order, the first that is found counts: a "cine localizer" is a localizer,
#: a "post contrast T1 map" is no LGE, a "T2prep LGE" is one.
SEQUENCE_WORDS: Final = (
    ("other", r"ti ?scout|freq\w* scout|look ?locker|fieldmap|shim"),
    (
        "localizer",
        r"loc|scout|survey|plan ?scan|topogram|reperage|lo[ck]ali[sz]\w*|定位\w*|位置決め\w*",
    ),
    ("t1_map", r"t1 ?map\w*|t1m|(sh)?molli\w*|sasha|saphire|smart ?1? ?map"),
    ("other", r"t2 ?(star|\*)\w*|perf(usion)?\w*|first pass|q?flow\w*|venc|pc|phase contrast"),
    ("other", r"tag(ging|ged)?|spamm|mra|angio\w*"),
    (
        "lge",
        r"p?lge|late( ?(gd|gad\w*|enh\w*))?|mde|dhe|ps ?(ir|mde)\w*|viab\w*|delayed\w*"
        r"|de(?= (tfl|tfi|fl|trufi|sax?|lax|[234] ?ch))|rehaussement tardif|realce tardio"
        r"|spate? anreicherung|narbe\w*|延迟\w*|遅延\w*",
    ),
    ("t2", r"t2 ?(w|wi|map\w*|prep\w*)?|stir|tirm|o?edema|odem"),
    ("other", r"haste|(dark|black) ?blood|db|bb"),
    ("cine", r"cine\w*|kine|kino|シネ|电影"),
)

#: Read-outs that serve cine and much else: a hint.
READOUT_WORDS: Final = (("cine", r"b?ssfp|trufi\w*|true ?fisp|fiesta|b ?(tfe|ffe)|retro\w*"),)

_CHAMBER: Final = r" ?(ch|chamb\w*|cham\w*|c|kammer\w*|kb|cv|cav\w*|cam\w*|cavit\w*|腔\w*)"

#: Every view that is named counts; two views in one text contradict each other.
VIEW_WORDS: Final = (
    (
        "sax",
        r"saxs?|sa|short ?ax\w*|kurz\w* ?achs\w*|petit axe|eje corto|eixo curto|asse corto"
        r"|korte as|短轴|短軸",
    ),
    ("2ch", rf"(?<!rv )(2|two|zwei|deux|dos|due){_CHAMBER}(?! rv)|vla|vertical long\w*"),
    ("3ch", rf"(3|three|drei|trois|tres|tre){_CHAMBER}|ap(ical)? ?lax|lvot"),
    ("4ch", rf"(4|four|vier|quatre|cuatro|quattro){_CHAMBER}|hla|horizontal long\w*"),
    (
        "long axis",
        r"lax|long ?ax\w*|lang\w* ?achs\w*|grand axe|eje largo|eixo longo|asse lungo|长轴|長軸",
    ),
    (
        "other",
        rf"rvot|rv (2|two){_CHAMBER}|(2|two){_CHAMBER} rv|aort\w*|pulm\w*|valve|av|pv|axial|tra"
        r"|transvers\w*|cor|coronal|sag|sagittal|candy\w*",
    ),
)

Meaning = tuple[str, str]
"""(what it speaks for, the word as found)."""

_Table = Sequence[tuple[str, re.Pattern[str]]]


def _compiled(words: Sequence[tuple[str, str]]) -> _Table:
    return [(meaning, re.compile(rf"(?<!\w)(?:{pattern})\d*(?!\w)")) for meaning, pattern in words]


_SEQUENCES, _READOUTS, _VIEWS = map(_compiled, (SEQUENCE_WORDS, READOUT_WORDS, VIEW_WORDS))


def plain(text: str) -> str:
    """Lower case, without accents, every separator one space: "Kurz-Achse_3" -> "kurz achse 3"."""
    bare = "".join(
        c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c)
    )
    return _SEPARATORS.sub(" ", bare).strip()


def sequence_word(text: str) -> Meaning | None:
    """The first sequence that a word of ``text`` stands for."""
    return next(iter(_found(_SEQUENCES, text)), None)


def readout_word(text: str) -> Meaning | None:
    """The sequence that a read-out named in ``text`` hints at."""
    return next(iter(_found(_READOUTS, text)), None)


def view_words(text: str) -> tuple[Meaning, ...]:
    """The views named in ``text``; "long axis" only if none of the three is named as well."""
    found = _found(_VIEWS, text)
    named = {meaning for meaning, _ in found}
    if named & {"2ch", "3ch", "4ch"}:
        found = [one for one in found if one[0] != "long axis"]
    return tuple(found)


def _found(table: _Table, text: str) -> list[Meaning]:
    looked_in = plain(text)
    return [(m, hit.group()) for m, pattern in table if (hit := pattern.search(looked_in))]

from __future__ import annotations

import pytest

from cmr_node.assemble.words import plain, readout_word, sequence_word, view_words


@pytest.mark.parametrize(
    ("text", "sequence"),
    [
        ("cine_tf2d12_retro_iPAT_sax", "cine"),
        ("SSFP-CINE LAx", "cine"),
        ("Kine Kurzachse", "cine"),
        ("2CH LOC", "localizer"),
        ("localizer_sax", "localizer"),
        ("Repérage 3 plans", "localizer"),
        ("Lokalizer", "localizer"),
        ("SCOUT", "localizer"),
        ("cine localizer", "localizer"),
        ("TI_scout_sax", "other"),
        ("LateGAD-SAX - DE_tfl31_psir_seg_PSIR", "lge"),
        ("DE_tfi_2ch", "lge"),
        ("LGE SA", "lge"),
        ("T2prep LGE", "lge"),
        ("Ax 2D MDE", "lge"),
        ("PSIR_4ch", "lge"),
        ("Rehaussement tardif petit axe", "lge"),
        ("Spät-Anreicherung", "lge"),
        ("Post-GAD_T1Map_ShortT1_Post gd_MOCO_T1", "t1_map"),
        ("ShMOLLI_192i", "t1_map"),
        ("T1 mapping SA", "t1_map"),
        ("MOLLI post LGE", "t1_map"),
        ("T2_map_FLASH", "t2"),
        ("T2W STIR sa", "t2"),
        ("t2_tse_db", "t2"),
        ("T2* sax", "other"),
        ("t2star_mid", "other"),
        ("HASTE axial dark blood", "other"),
        ("Qflow aorta", "other"),
        ("stress perfusion", "other"),
        ("cine tagging", "other"),
        ("电影 短轴", "cine"),
        ("定位像", "localizer"),
    ],
)
def test_the_words_of_several_vendors_and_languages(text: str, sequence: str) -> None:
    found = sequence_word(text)
    assert found is not None
    assert found[0] == sequence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lateral",  # not late
        "de la Cruz",  # not DE, the delayed enhancement
        "location",
        "decine",
        "bbb",
        "T1 4kHz",
        "?*",
    ],
)
def test_no_word_is_found_inside_another(text: str) -> None:
    assert sequence_word(text) is None


@pytest.mark.parametrize(
    ("text", "views"),
    [
        ("cine sax", {"sax"}),
        ("SA_b3", {"sax"}),
        ("sax12", {"sax"}),
        ("Short-Axis", {"sax"}),
        ("Kurze Achse", {"sax"}),
        ("kurzachse", {"sax"}),
        ("Petit Axe", {"sax"}),
        ("eje corto", {"sax"}),
        ("短轴", {"sax"}),
        ("2CH", {"2ch"}),
        ("2-chamber", {"2ch"}),
        ("two chamber", {"2ch"}),
        ("2 Kammer", {"2ch"}),
        ("deux cavités", {"2ch"}),
        ("VLA", {"2ch"}),
        ("4Ch_LAX", {"4ch"}),
        ("HLA", {"4ch"}),
        ("Vierkammerblick", {"4ch"}),
        ("cine_4_cavidades", {"4ch"}),
        ("LVOT", {"3ch"}),
        ("3ch cine", {"3ch"}),
        ("LAx", {"long axis"}),
        ("grand axe", {"long axis"}),
        ("lange Achse", {"long axis"}),
        ("RVOT", {"other"}),
        ("axial cine", {"other"}),
        ("RV 2ch", {"other"}),
        ("sax 4ch", {"sax", "4ch"}),
        ("cine", set()),
        ("sagen", set()),
        ("24ch", set()),
        ("", set()),
    ],
)
def test_the_views_that_are_named(text: str, views: set[str]) -> None:
    assert {view for view, _ in view_words(text)} == views


def test_a_readout_is_told_from_a_sequence() -> None:
    assert readout_word("bh_fiesta") == ("cine", "fiesta")
    assert readout_word("btfe_BH") == ("cine", "btfe")
    assert sequence_word("bh_fiesta") is None


def test_separators_case_and_accents_do_not_matter() -> None:
    assert plain("  Kurz-Achse__3 (SÄ)") == "kurz achse 3 sa"
    assert plain("T2*") == "t2*"


def test_only_the_word_found_is_handed_on() -> None:
    assert sequence_word("DOE^JANE cine 19500101") == ("cine", "cine")
    assert view_words("DOE^JANE sax") == (("sax", "sax"),)

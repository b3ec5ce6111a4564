"""Names of classes in any script, and any number of classes, on the confusion matrices."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from ramer.modalities import CONDITIONS
from ramer.reporting.figures import fonts
from ramer.reporting.figures.class_figures import confusions


def drawn(counts: np.ndarray, names: list[str]) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns for every letter that it draws as a box
        data = confusions({"one": dict.fromkeys(CONDITIONS, counts)}, names).png
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


@pytest.mark.parametrize("names", [["a", "é", "Ж", "ω"], ["happy", "sad"]])
def test_names_that_the_plain_font_has_are_drawn_in_it(names: list[str]) -> None:
    assert fonts.families(names) == [fonts.PLAIN]
    assert fonts.drawable(names) == names
    assert fonts.key(names) == ""


def test_names_that_no_font_has_are_numbers_and_stand_in_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_installed", list)
    names = ["高兴", "悲伤", "neutral"]
    assert fonts.drawable(names) == ["1", "2", "neutral"]
    assert fonts.key(names) == "1: 高兴; 2: 悲伤"
    drawn(np.ones((3, 3)), names)


def test_a_font_that_has_the_letters_is_taken_where_one_is_installed() -> None:
    letter = "\U0001d538"  # a double-struck A, which STIX has, as it comes with matplotlib
    lacking = ord(letter) not in fonts._letters(fonts.findfont(fonts.PLAIN))
    name = letter if lacking else "\ue000"
    chosen = fonts.families([name, "happy"])
    assert chosen[0] == fonts.PLAIN
    assert len(chosen) == 2
    assert not any("Last Resort" in family for family in chosen)
    assert fonts.drawable([name, "happy"]) == [name, "happy"]
    drawn(np.ones((2, 2)), [name, "happy"])


def test_a_class_without_test_rows_is_empty_not_zero() -> None:
    whole, empty = np.full((3, 3), 5), np.array([[5, 5, 5], [0, 0, 0], [5, 5, 5]])
    names = ["a", "b", "c"]
    ink = [(drawn(counts, names) < 200).sum() for counts in (whole, empty)]
    assert ink[1] < ink[0]
    zero = drawn(np.array([[5, 5, 5], [0, 15, 0], [5, 5, 5]]), names)
    assert not np.array_equal(zero, drawn(empty, names))


@pytest.mark.parametrize("classes", [10, 11, 26, 60])
def test_any_number_of_classes_has_room(classes: int) -> None:
    picture = drawn(np.eye(classes) * 3, [f"emotion {n}" for n in range(classes)])
    assert picture.shape[1] < 1500

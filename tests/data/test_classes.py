from __future__ import annotations

import pytest

from ramer.data.classes import class_faults


@pytest.mark.parametrize(
    "names",
    [
        ["anger", "joy", "sadness", "non-neutral", "neutral"],
        ["0", "1", "2"],
        ["-1", "0", "1"],
        ["-1", "1"],
        ["-3", "-2", "-1", "0", "1", "2", "3"],
        [str(n) for n in range(28)],
        ["快乐", "悲伤"],
        ["happy/excited", "sad"],  # one class that two were merged into: neither is there by itself
        ["strongly agree", "agree and more"],
    ],
)
def test_names_of_classes_are_none_of_these(names: list[str]) -> None:
    assert class_faults(names) == []


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["-1.6", "2.4", "0.0"], "'-1.6', '2.4', '0.0': numbers on a scale, not classes; cut them"),
        (["1.0", "2.0"], "numbers on a scale"),
        ([str(n) for n in range(100)], "'0', '1', '2' and 97 more: numbers on a scale"),
        (["-1", "0", "1", "2"], "'-1' beside numbers from 0: a mark of no label, not a class; leave it empty"),
        (["-10", "0", "1"], "'-10' beside numbers from 0: a mark of no label"),
        (["happy", "sad", "3"], "'3' beside 'happy', 'sad': name classes by numbers or by words"),
        (["happy;sad", "sad"], "'happy;sad': several labels of one row"),
        (["happy,sad", "sad"], "'happy,sad': several labels"),
        (["happy|sad", "sad"], "'happy|sad': several labels"),
        (["['happy']", "sad"], "several labels"),
        (["happy+sad", "happy", "sad"], "'happy+sad': several labels"),
        (["happy and sad", "happy", "sad"], "'happy and sad': several labels"),
        (["happy/sad", "happy", "sad"], "'happy/sad': several labels"),
        (["Happy", "happy", "sad"], "'Happy', 'happy': one class in several spellings"),
        (["very happy", "very  happy", "sad"], "one class in several spellings"),
        (["non-negative", "nonnegative", "negative"], "one class in several spellings"),
        (["ｈａｐｐｙ", "happy", "sad"], "one class in several spellings"),
        (["nan", "sad", "happy"], "'nan': an absent value, not a class; leave it empty"),
        (["None", "sad", "happy"], "'None': an absent value"),
        (["N/A", "sad", "happy"], "'N/A': an absent value"),
    ],
)
def test_what_is_no_class_is_one_line_with_the_choice(names: list[str], line: str) -> None:
    (fault,) = class_faults(names)
    assert line in fault


def test_rows_are_counted() -> None:
    assert class_faults(["nan", "sad"], {"nan": 1, "sad": 3})[0].startswith("'nan' (1 row): ")
    assert class_faults(["Sad", "sad"], {"Sad": 2, "sad": 3})[0].startswith("'Sad' (2 rows), 'sad' (3 rows): ")

from __future__ import annotations

import pytest

from ramer.data.pairing import pair_names

THIRTY = [f"{n:04d}" for n in range(30)]


@pytest.mark.parametrize(
    ("wanted", "held", "causes"),
    [
        ([str(n) for n in range(30)], THIRTY, ("leading zeros",)),
        ([f"video_1/{n}" for n in range(30)], [f"video_0001/{n}" for n in THIRTY], ("leading zeros",)),
        ([f"{n}.0" for n in range(30)], THIRTY, ("a number written as 1.0", "leading zeros")),  # as pandas does
        ([f"video/{n}.0" for n in range(30)], [f"video/{n}" for n in range(30)], ("a number written as 1.0",)),
        ([f"dia0_utt{n}" for n in range(30)], [f"train_splits/dia0_utt{n}" for n in range(30)], ("sub-folders",)),
        ([f"A{n}" for n in THIRTY], [f"a{n}" for n in THIRTY], ("upper and lower case",)),
        ([f"s1\\{n}" for n in THIRTY], [f"s1/{n}" for n in THIRTY], ("back-slashes",)),
        ([f"{n}.MP4" for n in THIRTY], THIRTY, ("the file's ending",)),
        ([f"{n} " for n in THIRTY], THIRTY, ("spaces",)),
        ([f"caf\u00e9{n}" for n in THIRTY], [f"cafe\u0301{n}" for n in THIRTY], ("two ways to write an accent",)),
        ([f"S1\\{n}.wav" for n in range(30)], [f"s1/{n}" for n in THIRTY],
         ("back-slashes", "the file's ending", "upper and lower case", "leading zeros")),
    ],
)  # fmt: skip
def test_the_cause_is_named_and_the_match_is_offered(
    wanted: list[str], held: list[str], causes: tuple[str, ...]
) -> None:
    pairing = pair_names(wanted, held)
    assert pairing.hardly_any
    assert pairing.causes == causes
    assert pairing.offers == dict(zip(wanted, held, strict=True))
    said = pairing.said("rows", "clips")
    assert "30 of 30 rows name none of the clips, such as " in said
    assert "30 of 30 clips have none of the rows, such as " in said
    assert f"likely cause: {' and '.join(causes)} (" in said


def test_no_match_is_offered_where_two_fit() -> None:
    pairing = pair_names(["1"], ["a/0001", "b/0001"])
    assert pairing.hardly_any
    assert not pairing.offers
    assert "likely cause" not in pairing.said("rows", "clips")


def test_clips_of_one_number_in_two_folders_are_two() -> None:
    pairing = pair_names(["s1/3", *(f"s1/{n}" for n in THIRTY)], [*(f"s1/{n}" for n in THIRTY), "s2/3"])
    assert not pairing.offers
    assert not pairing.hardly_any


def test_one_of_thirty_is_hardly_any() -> None:
    assert pair_names(["0000", *(f"x{n}" for n in range(29))], THIRTY).hardly_any


@pytest.mark.parametrize(
    ("wanted", "held"),
    [
        (THIRTY, THIRTY),
        ([*THIRTY, "words only"], THIRTY),  # one of few
        (THIRTY, [*THIRTY, *(f"later {n}" for n in range(500))]),  # a table of a part
        ([*THIRTY, *(f"later {n}" for n in range(500))], THIRTY),  # files of a part
        (THIRTY, THIRTY[:1]),
        (THIRTY, []),
        ([], THIRTY),
    ],
)
def test_a_part_is_allowed(wanted: list[str], held: list[str]) -> None:
    assert not pair_names(wanted, held).hardly_any

"""What a blend reads is what its members read."""

from __future__ import annotations

import pytest

from ramer.errors import ConfigError
from ramer.inputs import FEATURES, POSTERIORS, STATES
from ramer.methods import method_class, method_options
from ramer.methods.blend import MEMBERS


@pytest.mark.parametrize(
    ("members", "inputs"),
    [
        (["late_product"], {FEATURES}),
        (["late_product", "distil"], {FEATURES, STATES}),
        (["unimodal_ensemble", "late_product"], {FEATURES, POSTERIORS}),
    ],
)
def test_inputs_are_those_of_the_members(members: list[str], inputs: set[str]) -> None:
    options = method_options("mine", {"type": "blend", "members": members})
    assert method_class("blend").inputs_of(options) == inputs


def test_a_member_that_cannot_be_blended_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match=rf"methods\.mine\.members\.0: expected one of {', '.join(MEMBERS)}"):
        method_options("mine", {"type": "blend", "members": ["ramer"]})

"""A condition that was read from the form, or from a file, survives the editor unchanged."""

import pytest
from django import forms
from hypothesis import example, given
from hypothesis import strategies as st

from apps.limits.attribute_lines import attribute_read, attribute_write

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
conditions = st.one_of(
    st.builds(lambda value: {"equals": value}, text),
    st.builds(lambda value: {"prefix": value}, text),
    st.builds(lambda values: {"in": values}, st.lists(text, min_size=1, max_size=4)),
)


@given(name=text, condition=conditions)
@example(name='"', condition={"equals": "0"})
@example(name=' is "', condition={"in": ['"', "a, b"]})
def test_what_is_written_is_read_back(name, condition):
    line = attribute_write(name, condition)
    assert line.splitlines() == [line]
    assert attribute_read(line) == (name, condition)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("plan is pro", ("plan", {"equals": "pro"})),
        ("q is made in china", ("q", {"equals": "made in china"})),
        ("plan in a, b ,c", ("plan", {"in": ["a", "b", "c"]})),
        ('plan in "a, b", c', ("plan", {"in": ["a, b", "c"]})),
        ("plan starts with pr", ("plan", {"prefix": "pr"})),
        ('"where is it" is here', ("where is it", {"equals": "here"})),
    ],
)
def test_lines_as_people_write_them(line, expected):
    assert attribute_read(line) == expected


@pytest.mark.parametrize("line", ["plan", "plan is", " is pro", "plan in ,", 'plan is "pro'])
def test_what_is_no_condition_is_refused(line):
    with pytest.raises(forms.ValidationError):
        attribute_read(line)

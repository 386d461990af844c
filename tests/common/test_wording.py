"""Numbers and durations as people write them."""

from sepurux_action.common import wording


def test_a_decimal_has_no_exponent_and_no_trailing_zeros() -> None:
    assert {wording.decimal(value) for value in (0, -0.0, -1e-12)} == {"0"}
    values = [1, 0.72, 61.5, 5000, 100.0, 0.1 + 0.2, 1e-7, 2.0**53]
    shown = ["1", "0.72", "61.5", "5000", "100", "0.3", "0.0000001", "9007199254740992"]
    assert list(map(wording.decimal, values)) == shown


def test_a_duration_is_in_the_units_that_people_use() -> None:
    seconds = [-3, 0.4, 0.001, 2, 9.96, 45, 59.6, 95, 600, 3600, 5400, 86400]
    assert ", ".join(map(wording.duration, seconds)) == (
        "0 s, 0.4 s, 0.1 s, 2 s, 10 s, 45 s, 1 min, 1 min 35 s, 10 min, 1 h, 1 h 30 min, 24 h"
    )

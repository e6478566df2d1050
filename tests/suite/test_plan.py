"""Which tests an environment gets and how the kernel is told."""

from fakes import make_test

from xenport.suite import plan


def test_every_need_must_be_provided() -> None:
    tests = [
        make_test(0, "any"),
        make_test(1, "pv", needs="pv"),
        make_test(2, "either", needs="hvm|pv dom0"),
        make_test(3, "seen", needs="observed-end"),
        make_test(4, "not hvm", needs="!hvm"),
        make_test(5, "not pv", needs="dom0 !pv"),
        make_test(6, "not both", needs="hvm|!dom0"),
        make_test(7, "one of them", needs="pv|!dom0"),
    ]
    names = [test.name for test in plan.applicable(tests, ["pv", "dom0"])]
    assert names == ["any", "pv", "either", "not hvm", "one of them"]


def test_tests_by_name() -> None:
    tests = [make_test(index, name) for index, name in enumerate(("timer_a", "timer_b", "other"))]
    assert plan.named(tests, []) == tests
    assert plan.named(tests, ["timer_*"]) == tests[:2]
    assert plan.named(tests, ["*_b", "other"]) == tests[1:]


def test_ladder_order_keeps_the_catalogue_within_a_rung() -> None:
    tests = [make_test(0, "t", "time"), make_test(1, "e", "enter"), make_test(2, "f", "enter")]
    ordered = plan.in_ladder_order(tests, ["enter", "time"])
    assert [test.name for test in ordered] == ["e", "f", "t"]


def test_command_line_joins_neighbours_and_keeps_the_order() -> None:
    tests = [make_test(index, str(index)) for index in (4, 5, 6, 0, 9, 8)]
    assert plan.command_line(tests) == "tests=4-6,0,9,8"
    assert plan.command_line([]) == "tests="


def test_long_command_lines_are_cut_between_tests() -> None:
    tests = [make_test(index, str(index)) for index in range(0, 1000, 2)]
    parts = list(plan.in_lines(tests))
    assert [test for part in parts for test in part] == tests
    lengths = [len(plan.command_line(part)) for part in parts]
    assert all(length <= 900 for length in lengths)
    assert all(length > 890 for length in lengths[:-1])
    assert list(plan.in_lines([])) == []

"""What a change of a database has to write, by what two records tell of it."""

from __future__ import annotations

from migrator.connectors.mysql.changing import Todo, tables_of, todo


def line(table: str, sum_: str = "a") -> str:
    return f"{table}: 3 rows, {sum_}.b, columns 00ff"


def test_tables_that_differ_are_written_those_that_are_gone_go_and_all_else_stays() -> None:
    now, wanted = (
        [line("same"), line("odd: 1 rows"), line("old")],
        [line("same"), line("odd: 1 rows", "c"), line("new")],
    )
    found = todo(now, wanted, ["view v: 0a", "trigger t: 0b"], ["view v: 0c"])
    assert found == Todo(("odd: 1 rows", "new"), ("old",), (("view", "v"),), (("trigger", "t"),))


def test_what_did_not_change_is_left_alone_and_a_note_is_read_as_it_was_written() -> None:
    assert todo([line("a")], None, ["event e: 0a"], None) == Todo()
    found = Todo(("ü`\n",), (), (("routine", "r: x"),), (), (("e", "u@h"),))
    assert Todo.of(found.text) == found
    begun = Todo((), (), (("trigger", "t"), ("view", "v")), (), (("e", "u@h"),))
    assert Todo(objects=(("view", "v"),)).after(begun) == Todo(
        (), (), (("view", "v"), ("trigger", "t")), (), begun.running
    )
    assert tables_of([line("a: b")]) == {"a: b"}

"""Lists as Docker prints them."""

import json

from wherry.cli.output import print_list, render_one

ROWS = [{"ID": "a", "Names": "one", "Ports": "1->2", "Label": lambda name: f"<{name}>"}]
COLUMNS = [("CONTAINER ID", "ID"), ("NAMES", "Names"), ("PORTS", "Ports")]


def printed(capsys, format, rows=ROWS):
    print_list(rows, COLUMNS, format)
    return capsys.readouterr().out


def test_columns_are_at_least_ten_wide(capsys):
    assert printed(capsys, "") == "CONTAINER ID   NAMES     PORTS\na              one       1->2\n"
    assert printed(capsys, "", []) == "CONTAINER ID   NAMES     PORTS\n"


def test_json_is_compact_sorted_and_escaped_as_gos(capsys):
    line = printed(capsys, "json")
    assert line == '{"ID":"a","Names":"one","Ports":"1-\\u003e2"}\n'
    assert json.loads(line)["Ports"] == "1->2"
    assert printed(capsys, "{{json .}}") == line
    assert printed(capsys, "{{json .Ports}}") == '"1->2"\n'


def test_labels_are_asked_for_by_name(capsys):
    assert printed(capsys, '{{.Label "x"}}') == "<x>\n"
    assert printed(capsys, 'table {{.ID}}\\t{{.Label "x"}}').startswith("CONTAINER ID   x\n")


def test_one_value_keeps_its_order():
    assert render_one({"b": 1, "a": [2]}, "json") == '{"b":1,"a":[2]}'

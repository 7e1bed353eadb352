"""A parser of Prometheus's text format that is as strict as its description."""

import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_PAIR = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"'
_LINE = re.compile(rf"({_NAME})(?:\{{({_PAIR}(?:,{_PAIR})*)?\}})? (\S+)")
_PLAIN = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parse_exposition(text):
    """Families by name: kind, help, and samples as (name, labels, value). Fails for whatever is not as described."""
    assert not text or text.endswith("\n")
    families, current = {}, None
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            current, words = line[7:].split(" ", 1)
            assert re.fullmatch(_NAME, current)
            assert current not in families, f"{current} is there twice"
            families[current] = ["", words, []]
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert (name, families[name][0]) == (current, "")
            assert kind in ("counter", "gauge", "summary", "histogram", "untyped")
            assert kind != "counter" or name.endswith("_total")
            families[name][0] = kind
        else:
            found = _LINE.fullmatch(line)
            assert found, line
            assert found[1].startswith(current)
            pairs = re.findall(_PAIR, found[2] or "")
            labels = {name: re.sub(r'\\[\\"n]', lambda one: _PLAIN[one[0]], value) for name, value in pairs}
            assert len(labels) == len(pairs)
            sample = found[1], labels, float(found[len(found.groups())])
            assert sample[:2] not in [one[:2] for one in families[current][2]], line
            families[current][2].append(sample)
    assert all(kind and samples for kind, _, samples in families.values())
    return families

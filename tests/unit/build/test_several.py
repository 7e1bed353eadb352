from wherry.base.progress import Finished, Started
from wherry.build.several import _titled


def titles(*given):
    told = []
    sink = _titled("web", told.append)
    for number, title in enumerate(given):
        sink(Started(str(number), title))
        sink(Finished(str(number)))
    return [event.title for event in told if isinstance(event, Started)]


def test_steps_say_whose_they_are():
    given = ("[build 2/5] RUN [ -e x ] && y", "[1/2] FROM debian", "[ONBUILD] RUN z", "exporting to image")
    wanted = [
        "[web build 2/5] RUN [ -e x ] && y",
        "[web 1/2] FROM debian",
        "[web ONBUILD] RUN z",
        "[web] exporting to image",
    ]
    assert titles(*given) == wanted

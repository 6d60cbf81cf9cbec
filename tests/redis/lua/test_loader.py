"""How a script is put together, and what is refused."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from lupa import lua51  # type: ignore[import-untyped]

from errand.redis import keys
from errand.redis.lua.loader import ScriptError, Value, assemble, read_script, write_value
from tests.support.project import ROOT

BASE = "-- gives add\nfunction add(a, b) return a + b end\n"


def read_from(files: dict[str, str]) -> Callable[[str], str]:
    """Return a reader of these files; a script and its parts have one name each."""
    texts = {f"scripts/{name}" if name == "main" else f"lib/{name}": text for name, text in files.items()}

    def read(name: str) -> str:
        if name not in texts:
            raise FileNotFoundError(name)
        return texts[name]

    return read


def put_together(main: str, given: dict[str, Value] | None = None, **parts: str) -> str:
    return assemble("main", given, read_from({"main": main, **parts}))


def run(main: str, given: dict[str, Value] | None = None, **parts: str) -> object:
    """Return what a script returns under Lua 5.1."""
    return lua51.LuaRuntime().execute(put_together(main, given, **parts))


def refuse(main: str, given: dict[str, Value] | None = None, **parts: str) -> str:
    with pytest.raises(ScriptError) as caught:
        put_together(main, given, **parts)
    return str(caught.value)


def test_a_script_has_what_its_parts_give() -> None:
    assert run("-- include base\nreturn add(1, 2)\n", base=BASE) == 3


def test_what_a_part_does_not_give_stays_inside_it() -> None:
    part = "-- gives get\nlocal hidden = 7\nfunction get() return hidden end\n"
    assert run("-- include part\nreturn get() + (hidden or 1)\n", part=part) == 8


def test_two_parts_may_have_the_same_local_names() -> None:
    one = "-- gives one\nlocal value = 1\nfunction one() return value end\n"
    two = "-- gives two\nlocal value = 2\nfunction two() return value end\n"
    assert run("-- include one, two\nreturn one() + two()\n", one=one, two=two) == 3


def test_a_part_that_several_include_is_there_once() -> None:
    count = "-- gives seen\nseen = (seen or 0) + 1\n"
    left, right = "-- include count\n", "-- include count\n"
    assert put_together("-- include left, right\n", left=left, right=right, count=count).count("(seen or 0)") == 1


def test_a_part_comes_after_those_that_it_includes() -> None:
    twice = "-- gives twice\n-- include base\nfunction twice(a) return add(a, a) end\n"
    assert run("-- include twice, base\nreturn twice(4)\n", twice=twice, base=BASE) == 8


def test_a_script_may_set_what_a_part_gives() -> None:
    part = "-- gives now, get\nfunction get() return now end\n"
    assert run("-- include part\nnow = 5\nreturn get()\n", part=part) == 5


def test_the_flags_come_first() -> None:
    text = put_together("#!lua flags=no-writes\n-- include base\nreturn 1\n", base=BASE)
    assert text.startswith("#!lua flags=no-writes\nlocal add\n")


def test_a_key_is_its_value() -> None:
    assert run("return keys.LEASES .. keys.DEPENDENTS_LIMIT\n") == f"errand:leases{keys.DEPENDENTS_LIMIT}"


def test_words_are_a_set() -> None:
    assert run("local ENDED = keys.ENDED\nreturn ENDED.failed and not ENDED.queued\n") is True


def test_a_value_is_given_or_false() -> None:
    part = "-- takes URL\n-- gives get\nfunction get() return URL end\n"
    main = "-- include part\nreturn get()\n"
    assert (run(main, part=part), run(main, {"URL": "https://a"}, part=part)) == (False, "https://a")


@pytest.mark.parametrize("text", ["plain", "it's", "back\\slash", "line\nbreak", '"quoted"', "é – 日本", "\0", "]]"])
def test_any_text_may_be_given(text: str) -> None:
    assert lua51.LuaRuntime().execute(f"return {write_value(text)}") == text


def test_a_circle_is_refused() -> None:
    faults = refuse("-- include one\n", one="-- include two\n", two="-- include one\n")
    assert faults == (
        "scripts/main includes lib/one includes lib/two includes lib/one: a circle; let one of them do without"
    )


def test_a_part_that_is_not_there_is_refused() -> None:
    assert refuse("-- include nowhere\n") == "lib/nowhere.lua is not there; scripts/main.lua includes it"


def test_a_script_that_is_not_there_is_refused() -> None:
    with pytest.raises(ScriptError, match=r"^scripts/nowhere\.lua is not there; it is asked for$"):
        assemble("nowhere")


def test_a_name_that_two_parts_give_is_refused() -> None:
    assert refuse("-- include base, other\n", base=BASE, other="-- gives add\nadd = nil\n") == (
        "lib/other.lua: add is given by lib/base.lua already; rename one of them"
    )


@pytest.mark.parametrize("text", ["function stray() end\n", "stray = 1\n", "one, stray = 1, 2\n"])
def test_a_global_is_refused(text: str) -> None:
    faults = refuse("-- include part\n", part=f"-- gives one\n{text}")
    assert faults == "lib/part.lua: stray is a global; make it local, or say that the file gives it"


def test_a_key_that_is_not_there_is_refused() -> None:
    assert refuse("return keys.LEESES\n") == "scripts/main.lua: there is no keys.LEESES in errand/redis/keys.py"


def test_a_value_that_nobody_takes_is_refused() -> None:
    assert refuse("return 1\n", {"URL": "x"}) == "scripts/main.lua: nothing there takes URL"


def test_keys_have_rqs_own_prefix() -> None:
    from rq.defaults import RQ_KEY_PREFIX

    assert keys.RQ == RQ_KEY_PREFIX


COUNTED = "-- rare\n-- gives one\n-- include seen\ncount = count + 1\nfunction rare.one() return 1 end\n"
SEEN = "-- gives count\ncount = 0\n"


def test_a_rare_part_is_made_when_one_of_its_functions_is_asked_for_and_once() -> None:
    assert run("-- include one\nreturn count\n", one=COUNTED, seen=SEEN) == 0
    assert run("-- include one\nreturn rare.one() + rare.one() + count\n", one=COUNTED, seen=SEEN) == 3


def test_rare_parts_are_made_together_and_use_each_other() -> None:
    two = "-- rare\n-- gives two\n-- include one\nfunction rare.two() return rare.one() + count end\n"
    assert run("-- include two\nreturn rare.two() + count\n", one=COUNTED, two=two, seen=SEEN) == 3


def test_a_rare_part_has_to_set_what_it_gives() -> None:
    fault = refuse("-- include part\n", part="-- rare\n-- gives one\nfunction one() end\n")
    assert fault == "lib/part.lua: it is rare and does not set rare.one"


def test_a_rare_function_that_nothing_included_gives_is_refused() -> None:
    fault = refuse("-- include one\nreturn rare.two()\n", one=COUNTED, seen=SEEN)
    assert fault == "scripts/main.lua: nothing it includes gives rare.two"


def test_a_part_that_is_pasted_is_made_where_it_stands() -> None:
    main = "local function get()\n  -- paste part\n  return part(2, 3)\nend\n"
    part = "-- gives part\n-- include base\nfunction part(a, b) return add(a, b) end\n"
    text = put_together(main, part=part, base=BASE)
    assert text.index("function add") < text.index("local function get") < text.index("function part")
    assert run(f"{main}return get()\n", part=part, base=BASE) == 5


def test_a_part_may_not_paste_itself() -> None:
    faults = refuse("-- include one\n", one="  -- paste two\n", two="  -- paste one\n")
    assert faults.endswith("a circle; let one of them do without")


def test_a_script_is_read_alike_in_any_locale() -> None:
    text = "from errand.redis.lua.loader import read_script; print(ascii(read_script('store/enqueue')))"
    in_ascii = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, env=in_ascii, capture_output=True, text=True)
    assert done.stdout.rstrip() == ascii(read_script("store/enqueue"))

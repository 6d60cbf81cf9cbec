"""Server-sent events, read as the HTML standard has them."""

from errand.cli.client.events import ServerSentEvent, read_events


def read(text: str) -> list[ServerSentEvent]:
    return list(read_events(line.encode() for line in text.splitlines(keepends=True)))


def test_an_event_has_an_id_a_name_and_json() -> None:
    assert read('id: 7\nevent: progress\ndata: {"done": 1}\n\n') == [ServerSentEvent("7", "progress", {"done": 1})]


def test_comments_are_left_out_and_lines_of_data_are_one() -> None:
    assert read(': ping\n\ndata: {"a":\r\ndata: 1}\r\n\r\n') == [ServerSentEvent("", "message", {"a": 1})]


def test_an_id_stays_and_a_name_does_not() -> None:
    assert read("id:1\nevent:end\ndata:1\n\ndata:2\n\n") == [
        ServerSentEvent("1", "end", 1),
        ServerSentEvent("1", "message", 2),
    ]


def test_what_was_cut_off_is_no_event() -> None:
    assert read("data: 1\n\ndata: 2\n") == [ServerSentEvent("", "message", 1)]


def test_data_that_is_not_json_is_left_out() -> None:
    assert read("data: x\n\ndata: 2\n\n") == [ServerSentEvent("", "message", 2)]

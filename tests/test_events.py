import pytest

from smtp_pop_core import ConnectionClosed, MessageData


def test_content_is_equal_by_its_octets() -> None:
    assert MessageData(b"a") == MessageData(b"a", lf_ends_lines=True)
    assert hash(MessageData(b"a")) == hash(MessageData(b"a", lf_ends_lines=True))
    assert MessageData(b"a") != MessageData(b"b")
    assert repr(MessageData(b"a", lf_ends_lines=True)) == "MessageData(data=b'a')"


@pytest.mark.parametrize("data", ["a", None, 5, bytearray(b"a"), memoryview(b"a"), [1]])
def test_content_is_bytes(data: object) -> None:
    with pytest.raises(TypeError, match="data must be bytes"):
        MessageData(data)  # type: ignore[arg-type]  # that is the point


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        MessageData(b"a").data = b"b"  # type: ignore[misc]  # that is the point


def test_one_end_is_like_another() -> None:
    assert ConnectionClosed() == ConnectionClosed()

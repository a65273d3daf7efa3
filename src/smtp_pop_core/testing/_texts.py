"""What texts are drawn from, for both protocols."""

from string import ascii_letters, digits
from typing import Final

from hypothesis import strategies as st

LETTERS: Final = st.sampled_from(ascii_letters + digits)
PRINTABLE: Final = st.characters(min_codepoint=32, max_codepoint=126)
VISIBLE: Final = st.characters(min_codepoint=33, max_codepoint=126)
BEYOND: Final = st.characters(  # neither spaces nor what IDNA takes for a dot
    min_codepoint=161,
    exclude_categories=["C", "Z"],
    exclude_characters="\u3002\uff0e\uff61",
)
IN_LINE: Final = st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0")
MECHANISMS: Final = st.text(
    st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"), min_size=1, max_size=20
)


def texts(characters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Draw texts without a space at either end."""
    text = st.text(characters | PRINTABLE, min_size=1, max_size=20)
    return text.map(lambda drawn: f"{drawn.strip(' ')}x")

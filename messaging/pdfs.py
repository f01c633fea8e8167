"""Looking at a stranger's PDF before somebody else opens it. No virus scanner: their program shows it, not ours."""

import re

from core.uploads import refused

# The file is that of a PDF from its first byte to its last, so that it is not something else as well.
HEAD = re.compile(rb"%PDF-(?:1\.[0-7]|2\.0)[\r\n \t%]")
TAIL = re.compile(rb"startxref\s+\d+\s+%%EOF\s*\Z")
# What runs, starts or carries something. Inside of compressed objects it is not seen.
ACTIVE = re.compile(rb"/(?:JavaScript|Launch|EmbeddedFiles?|RichMedia|ImportData|SubmitForm)(?![A-Za-z])")
ESCAPED = re.compile(rb"#([0-9A-Fa-f]{2})")


def check(raw: bytes) -> None:
    """Raises `ValidationFailed` for what is no PDF, or one with scripts or other files in it."""
    if not HEAD.match(raw) or not TAIL.search(raw[-1100:]):
        raise refused("This is no readable PDF.")
    plain = ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), raw)
    if ACTIVE.search(raw) or ACTIVE.search(plain):
        raise refused(
            "A PDF with scripts, forms that send or other files inside is not taken. Print it into a new one."
        )

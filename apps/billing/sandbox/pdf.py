"""A PDF of one or more pages of plain text lines, without a library. Text outside Windows-1252 becomes `?`."""

WIDTH, HEIGHT, MARGIN = 595, 842, 56
LEADING = 16
LINES_A_PAGE = (HEIGHT - 2 * MARGIN) // LEADING
Line = tuple[str, str]  # what stands left, what stands right


def pdf_of(title: str, lines: list[Line]) -> bytes:
    """Helvetica 10 with a title in 16; right-hand texts end at the right margin."""
    pages = [lines[start : start + LINES_A_PAGE - 2] for start in range(0, len(lines), LINES_A_PAGE - 2)] or [[]]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in enumerate(pages):
        content = _content(title, page)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    return _file(objects)


def _content(title: str, lines: list[Line]) -> bytes:
    y = HEIGHT - MARGIN
    parts = [_text(MARGIN, y, 16, title)]
    y -= 2 * LEADING
    for left, right in lines:
        parts.append(_text(MARGIN, y, 9, left))
        if right:
            parts.append(_text(WIDTH - MARGIN - len(right) * 5.4, y, 9, right))  # Courier: 0.6 of its size a letter
        y -= LEADING
    return b"\n".join(parts)


def _text(x: float, y: float, size: int, text: str) -> bytes:
    raw = text.encode("cp1252", "replace").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
    return b"BT /F1 %d Tf %.1f %.1f Td (%s) Tj ET" % (size, x, y, raw)


def _file(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for place in places:
        out += b"%010d 00000 n \n" % place
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)

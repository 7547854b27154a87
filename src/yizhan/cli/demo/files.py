"""The two generated files of the demo: a picture of a relay station, and a book of such pictures as PDF.

Their bytes are the same on every machine: pixels are computed from whole numbers and stored without compression.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

BOOK_SHOWN = "驿站手册.pdf"
"""The name under which people see the book."""
PAGES = 6
PAGE_PIXELS = 600, 450
PICTURE_PIXELS = 840, 560


def picture() -> bytes:
    """Return a PNG of about 1.4 MB."""
    out = io.BytesIO()
    _scene(PICTURE_PIXELS, 0).save(out, "PNG", compress_level=0)
    return out.getvalue()


def book() -> bytes:
    """Return a PDF of about 5 MB: six pages, each with a picture and a line of text."""
    return _pdf([_scene(PAGE_PIXELS, number).tobytes() for number in range(1, PAGES + 1)])


def _scene(pixels: tuple[int, int], hour: int) -> Image:
    """Draw hills, a house and a road below a sky that changes with the hour."""
    from PIL import Image, ImageChops, ImageDraw

    width, height = pixels
    light = Image.linear_gradient("L").resize(pixels, Image.Resampling.NEAREST)
    paper = Image.linear_gradient("L").rotate(90).resize(pixels, Image.Resampling.NEAREST)
    red = light.point([60 + (value * (150 - 12 * hour)) // 255 for value in range(256)])
    green = light.point([90 + (value * 110) // 255 for value in range(256)])
    blue = ImageChops.add(
        light.point([170 - (value * 10 * hour) // 255 for value in range(256)]),
        paper.point([v // 8 for v in range(256)]),
    )
    image = Image.merge("RGB", (red, green, blue))
    draw = ImageDraw.Draw(image)
    sun = width * (1 + hour) // (PAGES + 2)
    draw.ellipse((sun - 30, height // 6, sun + 30, height // 6 + 60), (250, 220, 130))
    for ridge in range(3):
        top = height // 2 + ridge * height // 9
        peaks = [(x * width // 6, top + (x * 37 + ridge * 53 + hour * 11) % (height // 7)) for x in range(7)]
        draw.polygon([(0, height), *peaks, (width, height)], (70 - 18 * ridge, 104 - 22 * ridge, 84 - 16 * ridge))
    draw.polygon(
        [
            (width // 2 - 90, height),
            (width // 2 + 10, height * 3 // 4),
            (width // 2 + 30, height * 3 // 4),
            (width // 2 + 60, height),
        ],
        (176, 150, 110),
    )
    left, top = width * 3 // 5, height * 5 // 8
    draw.rectangle((left, top, left + width // 6, top + height // 7), (120, 60, 44))
    draw.polygon(
        [(left - 16, top), (left + width // 12, top - height // 12), (left + width // 6 + 16, top)], (58, 44, 40)
    )
    draw.rectangle((left + width // 14, top + height // 16, left + width // 14 + 18, top + height // 7), (240, 196, 96))
    return image


def _pdf(pictures: list[bytes]) -> bytes:
    """Put each picture on a page of its own; objects in order: catalogue, pages, font, then three per page."""
    width, height = PAGE_PIXELS
    kids = " ".join(f"{4 + 3 * number} 0 R" for number in range(len(pictures)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pictures)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, pixels in enumerate(pictures):
        first = 4 + 3 * number
        text = f"BT /F1 18 Tf 60 60 Td (yizhan demo, page {number + 1} of {len(pictures)}) Tj ET"
        content = f"q 480 0 0 360 60 120 cm /Im0 Do Q\n{text}".encode()
        resources = f"<< /XObject << /Im0 {first + 2} 0 R >> /Font << /F1 3 0 R >> >>"
        page = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 540] /Resources {resources} /Contents {first + 1} 0 R >>"
        )
        image = (
            f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceRGB /BitsPerComponent 8"
        )
        objects += [page.encode(), _stream("", content), _stream(image, pixels)]
    return _numbered(objects)


def _stream(entries: str, data: bytes) -> bytes:
    return f"<< {entries} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def _numbered(objects: list[bytes]) -> bytes:
    out = io.BytesIO(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    out.seek(0, io.SEEK_END)
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(f"{number} 0 obj\n".encode() + body + b"\nendobj\n")
    table = out.tell()
    rows = "".join(f"{place:010d} 00000 n \n" for place in places)
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{rows}".encode())
    out.write(f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n".encode())
    return out.getvalue()

"""multipart/form-data written by hand, so that tests can write it wrong too."""

from dataclasses import dataclass, field

BOUNDARY = "edge-of-the-part"


@dataclass
class Body:
    """A body under construction; `bytes(body)` closes it."""

    parts: list[bytes] = field(default_factory=list)

    def part(self, headers: str, payload: bytes) -> "Body":
        """Add a part with these header lines, given without their line ends."""
        lines = "".join(f"{line}\r\n" for line in headers.splitlines())
        self.parts.append(f"--{BOUNDARY}\r\n{lines}\r\n".encode() + payload + b"\r\n")
        return self

    def file(self, name: str, payload: bytes) -> "Body":
        return self.part(f'Content-Disposition: form-data; name="files"; filename="{name}"', payload)

    def text(self, name: str, value: str) -> "Body":
        return self.part(f'Content-Disposition: form-data; name="{name}"', value.encode())

    def open_ended(self) -> bytes:
        """The parts without the closing boundary."""
        return b"".join(self.parts)

    def __bytes__(self) -> bytes:
        return self.open_ended() + f"--{BOUNDARY}--\r\n".encode()


CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"

"""A socket that reads and writes in large pieces; paho takes it for its own."""

from __future__ import annotations

import socket
import ssl

from broadcast.mqtt.packets import Packets

READ_BYTES = 256 * 1024

AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class BufferedSocket:
    """A connected socket and the packets that pass over it.

    Args:
        sock: Connected; TLS or not.
        packets: Of the connection.
    """

    def __init__(self, sock: socket.socket, packets: Packets) -> None:
        self.packets = packets
        self._sock = sock
        self._end: Exception | None = None
        """Reason why nothing more comes; EOFError when the peer has closed."""

    # What paho calls ----------------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """The next bytes of the packet that is shown to paho."""
        if data := self.packets.read(size):
            return data
        if self._end is None:
            raise BlockingIOError
        if isinstance(self._end, EOFError):
            return b""
        raise self._end

    def send(self, data: bytes) -> int:
        """Take bytes for the next `flush`, all of them."""
        self.packets.output += data
        return len(data)

    def fileno(self) -> int:
        """For the selector."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        """Passed on."""
        self._sock.setblocking(flag)

    def close(self) -> None:
        """Write what the peer will take, paho's DISCONNECT above all, and close."""
        self.flush()
        self._sock.close()

    # What the link calls ------------------------------------------------------------------------

    def without_delay(self) -> None:
        """Or an acknowledgement and the next publish wait 40 ms for each other."""
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fill(self) -> None:
        """Read what has arrived."""
        try:
            data = self._sock.recv(READ_BYTES)
            while data and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
                data += self._sock.recv(READ_BYTES)
        except AGAIN:
            return
        except OSError as error:
            self._end = error
            return
        if not data:
            self._end = EOFError()
        self.packets.feed(data)

    def has_for_paho(self) -> bool:
        """Tell whether paho has anything to read: a packet of its own, or the end.

        Raises:
            Malformed: No packet begins here.
        """
        return self.packets.show() or self._end is not None

    def flush(self) -> bool:
        """Write what is to be written; tell whether all of it is."""
        output = self.packets.output
        try:
            while output:
                del output[: self._sock.send(output)]
        except AGAIN:
            return False
        except OSError as error:
            output.clear()
            self._end = self._end or error
        return True

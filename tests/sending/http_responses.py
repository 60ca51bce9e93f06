"""Whole answers in all their framings, for the tests that cut, stretch and spoil them."""

from __future__ import annotations

OK = b'{"error":0,"error_text":"Successful operation"}'

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(OK), OK)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"a\r\n" + OK[:10] + b"\r\n" + b"%x;note=1\r\n" % (len(OK) - 10) + OK[10:] + b"\r\n0\r\n\r\n"
)
TRAILERS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\nRetry-After: 7\r\n\r\n" % (
    len(OK),
    OK,
)
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + OK
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(OK), OK)
OLD_KEPT = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n%b" % (len(OK), OK)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + LENGTH
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"
BUSY = b"HTTP/1.1 429 Too Many Requests\r\nRETRY-AFTER: 7\r\nContent-Length: 0\r\n\r\n"

ANSWERS = {
    "length": LENGTH,
    "chunked": CHUNKED,
    "trailers": TRAILERS,
    "until closed": UNTIL_CLOSED,
    "HTTP/1.0": OLD,
    "HTTP/1.0 kept alive": OLD_KEPT,
    "interim": INTERIM,
    "no content": NO_CONTENT,
    "not modified": NOT_MODIFIED,
    "busy": BUSY,
}

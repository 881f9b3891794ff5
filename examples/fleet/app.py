"""An application with a login: the right password is `right`."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

FORM = b"""<!doctype html><title>Log in</title><form method=post action=/login>
<input name=username placeholder=Username> <input name=password type=password placeholder=Password>
<button>Log in</button></form>"""


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, FORM if self.path == "/login" else b"Hello.\n", Content_Type="text/html")

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        if form.get("password") == ["right"]:
            self.answer(302, b"", Location="/", Set_Cookie="session=1; HttpOnly; Path=/")
        else:
            self.answer(200, b"<p>Wrong.</p>" + FORM, Content_Type="text/html")


ThreadingHTTPServer(("0.0.0.0", 3000), App).serve_forever()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Asks rust-analyzer, as an editor does, where something is defined.

usage: goto-definition.py FOLDER FILE PATTERN EXPECTED

Opens FILE in FOLDER, which has a rust-project.json, puts the cursor on what
group 1 of the regular expression PATTERN matches and goes to its definition,
which must be in a file whose path ends with EXPECTED.
"""

import json
import pathlib
import re
import subprocess
import sys
import time

PATIENCE = 300  # seconds


class Server:
    def __init__(self):
        self.process = subprocess.Popen(
            ["rust-analyzer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.requests = 0

    def send(self, **message):
        text = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(text) + text)
        self.process.stdin.flush()

    def receive(self):
        length = 0
        while (line := self.process.stdout.readline()) != b"\r\n":
            if not line:
                sys.exit("rust-analyzer has ended")
            name, value = line.split(b":")
            if name == b"Content-Length":
                length = int(value)
        return json.loads(self.process.stdout.read(length))

    def call(self, method, params):
        self.requests += 1
        self.send(id=self.requests, method=method, params=params)
        while True:
            message = self.receive()
            if message.get("id") == self.requests and "method" not in message:
                return message
            if "id" in message:
                # A request of the server's own.
                self.send(id=message["id"], result=None)


def main(folder, file, pattern, expected):
    folder = pathlib.Path(folder).resolve()
    path = folder / file
    text = path.read_text()
    cursor = re.search(pattern, text, re.MULTILINE).start(1)
    position = {
        "line": text.count("\n", 0, cursor),
        "character": cursor - (text.rfind("\n", 0, cursor) + 1),
    }

    server = Server()
    server.call(
        "initialize",
        {"processId": None, "rootUri": folder.as_uri(), "capabilities": {}},
    )
    server.send(method="initialized", params={})
    document = {"uri": path.as_uri(), "languageId": "rust", "version": 1, "text": text}
    server.send(method="textDocument/didOpen", params={"textDocument": document})

    # It answers with nothing, or with an error, while it still reads.
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = server.call(
            "textDocument/definition",
            {"textDocument": {"uri": path.as_uri()}, "position": position},
        )
        if answer.get("result"):
            found = answer["result"][0]
            uri = found.get("uri") or found["targetUri"]
            print(f"{file}: {pattern} is defined in {uri}")
            server.process.kill()
            sys.exit(not uri.endswith(expected))
        time.sleep(1)
    sys.exit(f"{file}: {pattern}: no definition found in {PATIENCE} s: {answer}")


main(*sys.argv[1:])

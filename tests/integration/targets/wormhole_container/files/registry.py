# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A registry on 127.0.0.1 that serves one unpacked ``docker save`` archive under any name.

    registry.py PORT DIRECTORY

Requested paths are appended to the file ``DIRECTORY.asked``.
Engines accept a registry on 127.0.0.1 without TLS.

Sources: OCI Distribution Specification, "Pulling manifests", "Pulling blobs";
Image Manifest Version 2, Schema 2.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import pathlib
import sys

PORT, DIRECTORY = int(sys.argv[1]), pathlib.Path(sys.argv[2])
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
# The first bytes show whether a layer is compressed.
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def load() -> tuple[bytes, dict[str, bytes]]:
    """Return the manifest of the current image, and its blobs by digest."""
    (image,) = json.loads((DIRECTORY / "manifest.json").read_text())
    config, *layers = ((DIRECTORY / path).read_bytes() for path in (image["Config"], *image["Layers"]))

    def describe(kind: str, content: bytes) -> dict[str, object]:
        return {"mediaType": kind, "size": len(content), "digest": digest(content)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe(CONFIG, config),
        "layers": [describe(LAYER, layer) for layer in layers],
    }
    return json.dumps(manifest).encode(), {digest(blob): blob for blob in (config, *layers)}


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        with open(f"{DIRECTORY}.asked", "a", encoding="ascii") as asked:
            asked.write(f"{self.path}\n")
        manifest, blobs = load()
        if self.path.rstrip("/") == "/v2":
            self.answer(b"{}", "application/json")
        elif "/manifests/" in self.path:
            self.answer(manifest, MANIFEST)
        elif self.path.rpartition("/")[2] in blobs:
            self.answer(blobs[self.path.rpartition("/")[2]], "application/octet-stream")
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Docker-Content-Digest", digest(content))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Registry).serve_forever()

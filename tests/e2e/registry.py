# SPDX-License-Identifier: Apache-2.0
"""Servers that images are pulled from: Debian's docker-registry and nginx on loopback, and one of our
own that does what it should not."""

import base64
import gzip
import hashlib
import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import tarballs

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
SUFFIX = {"gzip": "+gzip", "zstd": "+zstd", "none": ""}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"the server ended with status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nothing listens at port {port}")


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def compress(data, how):
    if how == "gzip":
        return gzip.compress(data, 6, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-3", "-c"], input=data, stdout=subprocess.PIPE,
                              check=True).stdout
    return data


class Image:
    """An image made by hand: its documents and blobs as bytes."""

    def __init__(self, layers, how="gzip", config=None, platform=("linux", "amd64"), layer_type=None,
                 config_type=OCI_CONFIG):
        self.tars = layers
        self.stored = [compress(tar, how) for tar in layers]
        document = {"os": platform[0], "architecture": platform[1], "config": config or {},
                    "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in layers]}}
        self.config = json.dumps(document).encode()
        layer_type = layer_type or OCI_LAYER + SUFFIX[how]
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {"mediaType": config_type, "digest": digest(self.config),
                       "size": len(self.config)},
            "layers": [{"mediaType": layer_type, "digest": digest(blob), "size": len(blob)}
                       for blob in self.stored]}).encode()
        self.platform = platform

    def blobs(self):
        return {digest(data): data for data in [self.config, *self.stored]}

    def descriptor(self, **platform):
        return {"mediaType": OCI_MANIFEST, "digest": digest(self.manifest), "size": len(self.manifest),
                "platform": {"os": self.platform[0], "architecture": self.platform[1], **platform}}


def index_of(*descriptors):
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX,
                       "manifests": list(descriptors)}).encode()


def layer(**files):
    """A layer with these files at its root; NAME=bytes."""
    return tarballs.tar_bytes([tarballs.entry(name, data) for name, data in files.items()])


def certificates(folder):
    """A private authority and a certificate of it for this host. Returns the three files."""
    ca, key, cert = (folder / n for n in ("ca.pem", "server.key", "server.pem"))
    run = lambda *argv: subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True)
    run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "ca.key", "-out", ca, "-days",
        "2", "-subj", "/CN=cocoon test authority")
    run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", folder / "server.csr", "-subj",
        "/CN=localhost")
    (folder / "extensions").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    run("x509", "-req", "-in", folder / "server.csr", "-CA", ca, "-CAkey", folder / "ca.key",
        "-CAcreateserial", "-out", cert, "-days", "2", "-extfile", folder / "extensions")
    return ca, key, cert


class Server:
    """A program that serves at a port of its own until stop()."""

    def launch(self, argv, log, **popen):
        self.log = log
        self.process = subprocess.Popen(argv, stdout=open(log, "wb"), stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL, **popen)
        try:
            wait_for_port(self.port, self.process)
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error}\n{log.read_text()}") from None

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class DockerRegistry(Server):
    """Debian's docker-registry. accounts: {user: password}; tls: (key, certificate);
    token: (realm, service, issuer, certificate)."""

    def __init__(self, folder, accounts=None, tls=None, token=None):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.host = f"localhost:{self.port}"
        self.tls = tls
        self.account = next(iter(accounts.items())) if accounts else None
        config = {"version": "0.1", "log": {"level": "warn", "accesslog": {"disabled": False}},
                  "storage": {"filesystem": {"rootdirectory": str(folder / "data")},
                              "delete": {"enabled": True}},
                  "http": {"addr": f"127.0.0.1:{self.port}", "secret": "test"}}
        if accounts:
            lines = [subprocess.run(["htpasswd", "-nbB", user, password], check=True, text=True,
                                    capture_output=True).stdout.strip()
                     for user, password in accounts.items()]
            (folder / "htpasswd").write_text("\n".join(lines) + "\n")
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
        if token:
            realm, service, issuer, bundle = token
            config["auth"] = {"token": {"realm": realm, "service": service, "issuer": issuer,
                                        "rootcertbundle": str(bundle)}}
        if tls:
            config["http"]["tls"] = {"key": str(tls[0]), "certificate": str(tls[1])}
        (folder / "config.json").write_text(json.dumps(config))   # JSON is YAML
        self.launch(["docker-registry", "serve", str(folder / "config.json")], folder / "log")

    def url(self, rest):
        return f"{'https' if self.tls else 'http'}://{self.host}/v2/{rest}"

    def _request(self, method, url, data=None, **headers):
        request = urllib.request.Request(url, data, {k.replace("_", "-"): v for k, v in headers.items()},
                                         method=method)
        if self.account:
            request.add_header("Authorization", "Basic " + base64.b64encode(
                ":".join(self.account).encode()).decode())
        context = ssl._create_unverified_context() if self.tls else None
        return urllib.request.urlopen(request, context=context)

    def push_blob(self, name, data):
        with self._request("POST", self.url(f"{name}/blobs/uploads/"), b"") as answer:
            place = answer.headers["Location"]
        joint = "&" if "?" in place else "?"
        self._request("PUT", f"{place}{joint}digest={digest(data)}", data,
                      Content_Type="application/octet-stream").close()

    def push_manifest(self, name, reference, document, media_type=OCI_MANIFEST):
        self._request("PUT", self.url(f"{name}/manifests/{reference}"), document,
                      Content_Type=media_type).close()

    def push(self, name, tag, image):
        for data in image.blobs().values():
            self.push_blob(name, data)
        self.push_manifest(name, tag, image.manifest)
        return f"{self.host}/{name}:{tag}"

    def skopeo(self, source, name, *flags):
        """Copies an image from a file; returns its reference."""
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", *flags,
                        source, f"docker://{self.host}/{name}"], check=True, capture_output=True)
        return f"{self.host}/{name}"

    def requests(self, pattern):
        """Lines of the access log that match."""
        return [line for line in self.log.read_text(errors="replace").splitlines()
                if re.search(pattern, line)]

    def fetched(self, blob):
        """How often this blob was asked for and given."""
        return len(self.requests(rf'"GET /v2/\S+/blobs/{blob} HTTP/1\.1" 20[06]'))


class TokenServer:
    """Grants tokens for a DockerRegistry, signed with RS256 (the distribution project's JWT form)."""

    def __init__(self, folder, key, certificate, accounts):
        self.key, self.certificate, self.accounts = key, certificate, accounts
        self.folder = folder
        self.granted = []   # (user, query)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_POST(self):
                self.send_error(404)

            def do_GET(self):
                outer.answer(self)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.realm = f"http://127.0.0.1:{self.server.server_port}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        user = None
        given = request.headers.get("Authorization", "")
        if given.startswith("Basic "):
            user, _, password = base64.b64decode(given[6:]).decode().partition(":")
            if self.accounts.get(user) != password:
                request.send_error(401)
                return
        query = urllib.parse.parse_qs(request.path.partition("?")[2])
        self.granted.append((user, query))
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            if user or name.startswith("public/"):
                access.append({"type": kind, "name": name, "actions": actions.split(",")})
        body = json.dumps({"token": self.token(query["service"][0], user or "", access)}).encode()
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def token(self, service, user, access):
        encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
        der = subprocess.run(["openssl", "x509", "-in", self.certificate, "-outform", "DER"], check=True,
                             capture_output=True).stdout
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        now = int(time.time())
        claims = {"iss": "cocoon-test", "sub": user, "aud": service, "exp": now + 300, "nbf": now - 10,
                  "iat": now, "jti": str(now), "access": access}
        text = encode(json.dumps(header).encode()) + "." + encode(json.dumps(claims).encode())
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text.encode(),
                                   check=True, capture_output=True).stdout
        return text + "." + encode(signature)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Nginx(Server):
    """nginx with the files of `folder`/www. location: more of its configuration by path."""

    def __init__(self, folder, locations=""):
        self.port = free_port()
        self.www = folder / "www"
        self.www.mkdir(parents=True)
        (folder / "conf").write_text(f"""
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{self.port}; root {self.www}; {locations} }}
}}
""")
        self.access = folder / "access.log"
        self.url = f"http://127.0.0.1:{self.port}"
        self.launch(["nginx", "-p", str(folder), "-c", str(folder / "conf")], folder / "log")

    def requests(self, pattern=""):
        return [line for line in self.access.read_text().splitlines() if re.search(pattern, line)]


class FakeRegistry:
    """A registry that a test can make misbehave: `fault(request, kind, name)` is asked before each
    answer and may give one of its own (then it returns True). kind: manifests or blobs."""

    def __init__(self):
        self.blobs, self.manifests = {}, {}
        self.seen = []   # (kind, name, headers)
        self.fault = lambda request, kind, name: False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                try:
                    outer.answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client):
                pass   # what TLS clients say to a server of plain HTTP

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, image, tag="1"):
        self.blobs.update(image.blobs())
        for name in (tag, digest(image.manifest)):
            self.manifests[name] = (OCI_MANIFEST, image.manifest)
        return f"{self.host}/test/image:{tag}"

    def answer(self, request):
        match = re.fullmatch(r"/v2/(?:[a-z0-9/._-]+)/(manifests|blobs)/([^/?]+)", request.path)
        kind, name = match.groups() if match else ("other", request.path)
        self.seen.append((kind, name, dict(request.headers)))
        if self.fault(request, kind, name):
            return
        if kind == "manifests" and name in self.manifests:
            media_type, body = self.manifests[name]
            send(request, 200, body, Content_Type=media_type)
        elif kind == "blobs" and name in self.blobs:
            send_range(request, self.blobs[name])
        else:
            send(request, 404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"not known"}]}')

    def fetched(self, blob):
        return sum(1 for kind, name, _ in self.seen if kind == "blobs" and name == blob)


def send(request, status, body=b"", length=None, **headers):
    """An answer; length: another Content-Length than the right one."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body) if length is None else length))
    request.end_headers()
    request.wfile.write(body)
    if length is not None and length != len(body):
        cut(request)


def send_range(request, data, upto=None):
    """The bytes that a Range header asks for, or all; upto: the connection is cut there."""
    first = 0
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    if match:
        first = int(match[1])
        last = min(int(match[2] or len(data) - 1), len(data) - 1)
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        part = data[first:last + 1]
    else:
        request.send_response(200)
        part = data
    request.send_header("Content-Length", str(len(part)))
    request.end_headers()
    if upto is None:
        request.wfile.write(part)
        return
    request.wfile.write(part[:max(0, upto - first)])
    cut(request)


def cut(request):
    request.wfile.flush()
    request.close_connection = True
    try:
        request.connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def missing():
    """The first program that is not installed, or None."""
    for program in ("docker-registry", "skopeo", "nginx", "htpasswd", "openssl", "zstd"):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
            return program
    return None

# SPDX-License-Identifier: Apache-2.0
"""A pull of an image of several layers from docker-registry on loopback, against `skopeo copy` of the
same image to a directory plus tar and mkfs.erofs of its layers, as many at a time as there are
processors. And the most memory that the helper ever had."""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "e2e"))
import registry  # noqa: E402

LAYERS = 6
LAYER_BYTES = 90 << 20


def make_layers(folder):
    """Tars of this machine's programs and libraries, each file in one of them only."""
    files = (p for top in ("/usr/lib", "/usr/bin", "/usr/share") for p in sorted(Path(top).rglob("*"))
             if p.is_file() and not p.is_symlink())
    for number in range(LAYERS):
        path, size = folder / f"layer-{number}.tar", 0
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            while size < LAYER_BYTES:
                file = next(files)
                archive.add(file, arcname=str(file)[1:], recursive=False)
                size += file.stat().st_size
        yield path.read_bytes()
        path.unlink()


def timed_pull(b, reference, name):
    """Seconds of the pull, and the most resident memory of the helper in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen([str(b.bin), *b.flags(name), "image", "pull", "--progress", "none", reference],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        try:   # cocoon has become cocoon-image: the pid is the same
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, *(int(line.split()[1]) for line in status.splitlines()
                               if line.startswith("VmHWM")), 0)
        except (OSError, ValueError, TypeError):
            pass
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    if process.returncode != 0:
        raise RuntimeError(process.stderr.read())
    return seconds, peak / 1024


def timed_by_hand(server, name, folder):
    start = time.perf_counter()
    copy = folder / "copy"
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false",
                    f"docker://{server.host}/{name}", f"dir:{copy}"], check=True)

    def convert(layer):
        tree = folder / layer["digest"][7:19]
        tree.mkdir()
        subprocess.run(["tar", "-xzf", copy / layer["digest"][7:], "-C", tree], check=True)
        subprocess.run(["mkfs.erofs", "--quiet", "-zlz4hc", "-C4096", f"{tree}.erofs", tree], check=True,
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(tree)

    manifest = json.loads((copy / "manifest.json").read_text())
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(convert, manifest["layers"]))
    return time.perf_counter() - start


def run(b):
    if registry.missing():
        print(f"pull: skipped, no {registry.missing()}")
        return
    folder = b.dir / "pull"
    folder.mkdir()
    server = registry.DockerRegistry(folder / "registry")
    try:
        image = registry.Image(list(make_layers(folder)))
        server.push("bench/image", "1", image)
        size = sum(map(len, image.tars)) / 1e6
        packed = sum(map(len, image.stored)) / 1e6
        image.tars.clear()
        image.stored.clear()
        ours, peak = timed_pull(b, f"{server.host}/bench/image:1", "pull-store")
        by_hand = timed_by_hand(server, "bench/image:1", folder)
        again, _ = timed_pull(b, f"{server.host}/bench/image:1", "pull-store")
    finally:
        server.stop()
    b.report("image pull over skopeo, tar and mkfs.erofs", ours / by_hand, "x", "<= 1.2",
             ours / by_hand <= 1.2,
             f"{LAYERS} layers, {size:.0f} MB ({packed:.0f} MB packed): {ours:.1f} s and {by_hand:.1f} s")
    limit = 64 + 8 * min(LAYERS, os.cpu_count())
    b.report("peak memory of cocoon-image in that pull", peak, "MiB", f"<= {limit}", peak <= limit)
    b.report("the same pull again over the first", again / ours, "x", "-", None, f"{again:.2f} s")

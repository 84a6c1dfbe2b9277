# SPDX-License-Identifier: Apache-2.0
"""Archives made by hand: what a hostile or broken image file may hold."""

import gzip
import hashlib
import io
import json
import tarfile


def entry(name, data=b"", **fields):
    """One member as (TarInfo, bytes). fields: type, linkname, mode, uid, devmajor, pax_headers…"""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def directory(name):
    return entry(name, type=tarfile.DIRTYPE, mode=0o755)


def symlink(name, target):
    return entry(name, type=tarfile.SYMTYPE, linkname=target, mode=0o777)


def hardlink(name, target):
    return entry(name, type=tarfile.LNKTYPE, linkname=target)


def device(name, kind=tarfile.CHRTYPE, major=1, minor=3):
    return entry(name, type=kind, devmajor=major, devminor=minor)


def tar_bytes(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def write_tar(path, entries):
    path.write_bytes(tar_bytes(entries))
    return path


def write_gzip_bomb(path, name, size):
    """A gzip file of a few KiB that unpacks to a tar with one member of `size` zero bytes."""
    info, _ = entry(name)
    info.size = size
    block = bytes(1 << 20)
    with gzip.open(path, "wb", compresslevel=9) as out:
        out.write(info.tobuf(tarfile.GNU_FORMAT))
        left = size
        while left:
            step = min(left, len(block))
            out.write(block[:step])
            left -= step
        out.write(bytes(-size % 512 + 1024))
    return path


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def docker_archive(layers, config=None, manifest=None):
    """Members of a `docker save` archive of these layer tars; config and manifest may be replaced."""
    if config is None:
        config = {"architecture": "amd64", "os": "linux", "config": {},
                  "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(l)}" for l in layers]}}
    config_bytes = json.dumps(config).encode()
    names = [f"{i}/layer.tar" for i in range(len(layers))]
    if manifest is None:
        manifest = [{"Config": "config.json", "RepoTags": ["hostile:1"], "Layers": names}]
    members = [entry("manifest.json", json.dumps(manifest).encode()),
               entry("config.json", config_bytes)]
    return members + [entry(name, layer) for name, layer in zip(names, layers)]

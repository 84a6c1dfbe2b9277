# SPDX-License-Identifier: Apache-2.0
"""Archives as the original engine writes them for Cloud Hypervisor guests: the tar of its writer with its
sparse records, its envelope, its sidecar, and what a real Cloud Hypervisor saved (tests/fixtures/saved), under
the paths and with the settings that the original gives its guests. A writer of its own, so that reading it
proves something."""

import json
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "saved"
ROOT = "/var/lib/cocoon"
RUN = ROOT + "/run/cloudhypervisor/7QZ3WJ5M2XA4TBN6RCVYDHEPLK"
MEMORY = 3584 << 20   # of the fixture, in two ranges
GiB = 1 << 30


# --- tar ---

def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def header(name, size, mode, kind):
    block = bytearray(512)
    for at, field in ((0, name.encode()), (100, octal(mode, 8)), (108, octal(0, 8)), (116, octal(0, 8)),
                      (124, octal(size, 12)), (136, octal(1_700_000_000 if kind == b"0" else 0, 12)),
                      (148, b" " * 8), (156, kind), (257, b"ustar\0" + b"00"), (329, octal(0, 8)), (337, octal(0, 8))):
        block[at:at + len(field)] = field
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data):
    return data + bytes(-len(data) % 512)


def record(key, value):
    rest = f" {key}={value}\n".encode()
    length = len(rest)
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


class Sparse:
    """A file of holes with some pieces in it."""

    def __init__(self, size, *pieces):
        self.size = size
        self.pieces = pieces   # (offset, bytes), ascending

    def entry(self):
        pieces = [{"o": at, "l": len(data)} for at, data in self.pieces] or None
        records = {"COCOON.sparse.map": json.dumps(pieces, separators=(",", ":")),
                   "COCOON.sparse.size": str(self.size)}
        return b"".join(data for _, data in self.pieces), records


def member(name, content, mode=0o600):
    body, records = content.entry() if isinstance(content, Sparse) else (content, {})
    out = b""
    if records:
        pax = b"".join(record(key, records[key]) for key in sorted(records))
        out += header(f"PaxHeaders.0/{name}", len(pax), 0, b"x") + padded(pax)
    return out + header(name, len(body), mode, b"0") + padded(body)


# --- what a guest is ---

def remove_device(state, device):
    devices = state["snapshots"]["device-manager"]
    inner = json.loads(devices["snapshot_data"]["state"])
    for name in (device, f"_virtio-pci-{device}"):
        devices["snapshots"].pop(name, None)
        inner["device_tree"].pop(name, None)
    devices["snapshot_data"]["state"] = json.dumps(inner, separators=(",", ":"))


def layer_path(digest):
    return f"{ROOT}/oci/blobs/{digest}.erofs"


class Guest:
    """One saved guest: change `config`, `state`, `sidecar`, `envelope` and `files` before pack()."""

    def __init__(self):
        self.config = json.loads((FIXTURES / "ch-v53.0.0-3584M.config.json").read_text())
        self.state = json.loads((FIXTURES / "ch-v53.0.0-3584M.state.json").read_text())
        remove_device(self.state, self.config.pop("vsock")["id"])
        self.config.update(
            console={"mode": "Pty", "file": "/dev/pts/3"}, serial={"mode": "Off"}, pmem=None, fs=None, devices=None,
            balloon={"size": MEMORY // 4, "deflate_on_oom": True, "free_page_reporting": True})
        self.config["cpus"]["max_vcpus"] = 8
        self.config["net"][0].update(tap="btQZ3WJ5M2-0", host_mac="6a:75:1c:bd:94:ce")
        self.files = {"memory-ranges": Sparse(MEMORY, (4096, b"m" * 4096), (MEMORY - 4096, b"n" * 4096))}
        self.envelope = {"cpu": 1, "memory": MEMORY, "storage": 10 * GiB, "image": "own-kernel", "image_type": "oci",
                         "network": "default", "id": "7QZ3WJ5M2XA4TBN6RCVYDHEPLX", "name": "there:1",
                         "description": "made elsewhere", "hypervisor": "cloud-hypervisor", "nics": 1}
        self.sidecar = {"storage_configs": [], "boot_config": {}}

    def place(self, disks, **boot):
        """Disks as (role, path, serial, more keys); the last devices of the fixture are used."""
        while len(self.config["disks"]) > len(disks):
            remove_device(self.state, self.config["disks"].pop(0)["id"])
        for place, (role, path, serial, more) in zip(self.config["disks"], disks, strict=True):
            read_only = role in ("layer", "cidata")
            place.update(path=path, readonly=read_only, direct=not read_only)
            place["serial"] = serial or None
            self.set_disk_path(place["id"], path)
            self.sidecar["storage_configs"].append({"path": path, "ro": read_only, "serial": serial, "role": role,
                                                    **more})
        self.sidecar["boot_config"] = {key: value for key, value in boot.items() if value}
        self.config["payload"] = {config: boot[key] for config, key in (
            ("kernel", "kernel_path"), ("initramfs", "initrd_path"), ("cmdline", "cmdline"),
            ("firmware", "firmware_path")) if boot.get(key)}

    def set_disk_path(self, device, path):
        data = self.state["snapshots"]["device-manager"]["snapshots"][device]["snapshot_data"]
        inner = json.loads(data["state"])
        inner["disk_path"] = path
        data["state"] = json.dumps(inner, separators=(",", ":"))

    def pins(self, *digests):
        self.envelope["image_blob_ids"] = {digest: {} for digest in digests}

    def documents(self):
        """The files of the archive, without the envelope."""
        def compact(value):
            return json.dumps(value, separators=(",", ":")).encode()
        return {"cocoon.json": compact(self.sidecar), "config.json": compact(self.config),
                "state.json": compact(self.state), **self.files}

    def pack(self, version=1, extra=b"", files=None):
        envelope = json.dumps({"config": self.envelope, "version": version}, indent=2) + "\n"
        files = self.documents() if files is None else files
        out = member("snapshot.json", envelope.encode(), 0o644)
        for name in sorted(files):
            out += member(name, files[name])
        return out + extra + bytes(1024)

    def write_to(self, folder):
        """As plain files, with the envelope."""
        envelope = json.dumps({"config": self.envelope, "version": 1}).encode()
        for name, content in {"snapshot.json": envelope, **self.documents()}.items():
            with open(folder / name, "wb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                    continue
                file.truncate(content.size)
                for at, data in content.pieces:
                    file.seek(at)
                    file.write(data)


def container(*layers, boot=None):
    """A guest of an image with its own kernel; one or two layers, a data disk, a NIC."""
    guest = Guest()
    boot = boot or layers[-1]
    data = {"mount_point": "/mnt/db", "fstype": "ext4", "direct_io": True}
    guest.place([("layer", layer_path(digest), f"cocoon-layer{i}", {}) for i, digest in enumerate(layers)]
                + [("cow", f"{RUN}/cow.raw", "cocoon-cow", {}), ("data", f"{RUN}/data-db.raw", "db", data)],
                kernel_path=f"{ROOT}/oci/boot/{boot}/vmlinuz", initrd_path=f"{ROOT}/oci/boot/{boot}/initrd.img",
                cmdline="console=hvc0 loglevel=3 boot=cocoon-overlay cocoon.layers="
                        + ",".join(f"cocoon-layer{i}" for i in reversed(range(len(layers))))
                        + " cocoon.cow=cocoon-cow clocksource=kvm-clock rw")
    guest.files["cow.raw"] = Sparse(10 * GiB, (1 << 20, b"cow" * 4096))
    guest.files["data-db.raw"] = Sparse(64 << 20)
    guest.pins(*layers, boot)
    return guest


def cloud(base, overlay):
    """A guest of a cloud image: overlay (bytes of a qcow2 file), data disk, NoCloud disk."""
    guest = Guest()
    data = {"mount_point": "/mnt/db", "fstype": "ext4"}
    remove_device(guest.state, "__console")
    guest.place([("cow", f"{RUN}/overlay.qcow2", "", {}), ("data", f"{RUN}/data-db.raw", "db", data),
                 ("cidata", f"{RUN}/cidata.img", "", {})], firmware_path=f"{ROOT}/firmware/CLOUDHV.fd")
    guest.config["disks"][0].update(image_type="Qcow2", backing_files=True)
    guest.config["serial"] = {"mode": "Socket", "socket": f"{RUN}/console.sock"}
    guest.config["console"] = {"mode": "Off"}
    guest.files.update({"overlay.qcow2": overlay, "data-db.raw": Sparse(64 << 20), "cidata.img": b"c" * (1 << 20)})
    guest.envelope.update(image="https://example.org/cloud.img", image_type="cloudimg")
    guest.pins(base)
    return guest

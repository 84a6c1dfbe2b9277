# SPDX-License-Identifier: Apache-2.0
"""The agent's figures, each as a ratio over the bare transport in the same guest: the agent is ended in
the end, and `cat` takes its place on the virtio-serial port."""
import json
import os
import select
import signal
import socket
import statistics
import subprocess
import time
from pathlib import Path

PORT_FINDER = ("for p in /sys/class/virtio-ports/*; do "
               "[ \"$(cat $p/name)\" = org.cocoon.agent ] && port=/dev/${p##*/}; done; ")


def connect(path):
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(60)
    here = os.open(Path(path).parent, os.O_PATH)
    stream.connect(f"/proc/self/fd/{here}/{Path(path).name}")
    os.close(here)
    return stream


class Lines:
    def __init__(self, stream):
        self.stream, self.rest = stream, b""

    def next(self):
        while b"\n" not in self.rest:
            data = self.stream.recv(1 << 16)
            if not data:
                raise RuntimeError("the stream ended")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line


def session(directory, frame):
    """Seconds from CONNECT's answer to the last frame of a session with this first one."""
    stream = connect(f"{directory}/agent.sock")
    lines = Lines(stream)
    stream.sendall(b"CONNECT 1024\n")
    lines.next()
    start = time.monotonic()
    stream.sendall(json.dumps(frame, separators=(",", ":")).encode() + b"\n")
    while not lines.next().startswith((b'{"type":"exit"', b'{"type":"done"', b'{"type":"error"')):
        pass
    return time.monotonic() - start


def guest_sh(b, name, script):
    return b.cocoon("vm", "exec", name, "--", "/bin/sh", "-c", script)


def agent_idle(b, name):
    """CPU seconds and private memory (KiB) of the idle agent, by the guest's own account."""
    pid = guest_sh(b, name, "pidof @init || ps | awk '/[c]ocoon-agent/ {print $1}' | head -n 1").split()[0]
    ticks = f"cut -d' ' -f14,15 /proc/{pid}/stat"
    before = sum(map(int, guest_sh(b, name, ticks).split()))
    time.sleep(10)
    after = sum(map(int, guest_sh(b, name, ticks).split()))
    private = guest_sh(b, name, f"grep -h ^Private_ /proc/{pid}/smaps_rollup | awk '{{s+=$2}} END {{print s}}'")
    return (after - before) / 100, int(private), pid


def replace_agent(b, name, directory, pid):
    """`cat` gets the port, again and again: it ends whenever the host's end is closed."""
    guest_sh(b, name, PORT_FINDER + "setsid sh -c \"sleep 3; kill -9 " + pid +
             "; sleep 1; exec <>$port >&0; while :; do cat; sleep 0.2; done\" >/dev/null 2>&1 "
             "</dev/null &")
    end_mux(directory)
    time.sleep(6)


def end_mux(directory):
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text() == "cocoon-mux\n" and any(
                    os.readlink(fd) == f"{directory}/agent.lock" for fd in (entry / "fd").iterdir()):
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue


def echo_rate(stream, size):
    """Bytes per second through an echo, both directions at once."""
    sent, got, piece, start = 0, 0, bytes(1 << 16), time.monotonic()
    stream.setblocking(False)
    while got < size:
        wanted = [stream] if sent < size and sent - got < 4 << 20 else []
        readable, writable, _ = select.select([stream], wanted, [], 60)
        if not readable and not writable:
            raise RuntimeError("the raw echo stands still")
        if writable:
            sent += stream.send(piece)
        if readable:
            got += len(stream.recv(1 << 16))
    return size / (time.monotonic() - start)


def raw_echo(stream, rounds):
    times = []
    line = b'{"session":1,"type":"exec","argv":["true"]}\n'
    lines = Lines(stream)
    for _ in range(rounds):
        start = time.monotonic()
        stream.sendall(line)
        lines.next()
        times.append(time.monotonic() - start)
    return statistics.median(times)


def run(b, start_guest):
    name = "agent-bench"
    begun = time.monotonic()
    vm, first_line = start_guest(b, name)
    b.cocoon("vm", "wait", name)
    ready = time.monotonic() - begun
    b.report("start to agent-ready over start to first guest output", ready / first_line, "x", "-", None,
             f"{ready:.2f} s and {first_line:.2f} s")
    directory = b.dir / "store" / "root" / "run" / "qemu" / vm["id"]
    rounds = max(20, b.runs * 5)
    info = statistics.median(session(directory, {"type": "info"}) for _ in range(rounds))
    execs = statistics.median(session(directory, {"type": "exec", "argv": ["/bin/true"]})
                              for _ in range(rounds))
    size = 16 << 20
    start = time.monotonic()
    done = subprocess.run([str(b.bin), *b.flags(), "vm", "exec", "-i", name, "--", "cat"],
                          input=bytes(size), stdout=subprocess.PIPE, check=True)
    if len(done.stdout) != size:
        raise RuntimeError("stdout was cut off")
    both_rate = size / (time.monotonic() - start)
    start = time.monotonic()
    done = subprocess.run([str(b.bin), *b.flags(), "vm", "exec", name, "--", "dd", "if=/dev/zero",
                           "bs=64k", f"count={size >> 16}"], stdout=subprocess.PIPE, check=True)
    if len(done.stdout) != size:
        raise RuntimeError("stdout was cut off")
    stream_rate = size / (time.monotonic() - start)
    cpu, private, pid = agent_idle(b, name)

    replace_agent(b, name, directory, pid)
    raw = connect(f"{directory}/sock/agent")
    echo = raw_echo(raw, rounds)
    raw_rate = echo_rate(raw, size)

    b.report("question to the agent over a raw echo on the port", info / echo, "x", "<= 1.5",
             info / echo <= 1.5, f"{info * 1000:.1f} ms and {echo * 1000:.1f} ms")
    b.report("exec of /bin/true over a raw echo on the port", execs / echo, "x", "<= 1.5",
             execs / echo <= 1.5, f"{execs * 1000:.1f} ms, the guest's fork and exec included")
    for what, rate, budget in (("stdout stream of a session over an echo on the port", stream_rate, 0.5),
                               ("stdin to stdout of cat over an echo on the port", both_rate, None)):
        b.report(what, rate / raw_rate, "x", f">= {budget}" if budget else "-",
                 None if budget is None else rate / raw_rate >= budget,
                 f"{rate / 1e6:.1f} MB/s and {raw_rate / 1e6:.1f} MB/s")
    b.report("CPU of the idle agent in 10 s", cpu, "s", "-", None, "two looks at it included")
    b.report("private memory of the idle agent", private / 1024, "MiB", "-", None)
    b.cocoon("vm", "rm", "--force", name)

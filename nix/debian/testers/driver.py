#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs a test script of NixOS' test driver, without NixOS.

usage: driver.py VM SCRIPT

VM is a JSON file that says what to boot, and on what machine. Offers the script
the global names `machine` and `subtest`. The methods of `machine` are those of the
NixOS driver that our scripts use, with the same arguments and results. The console
can only be read in the log: on NixOS, what it says comes late and twice.
"""

import base64
import contextlib
import json
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time

# In seconds: until the machine answers, after a command's time is over, and
# what stands for no limit.
BOOT = 300
GRACE = 60
FOREVER = 900


def log(text):
    print(text, flush=True)


class Machine:
    def __init__(self, vm):
        self.command = [
            vm["qemu"],
            *shlex.split(
                f"-m {vm['memory']} -smp {vm['cores']} -accel tcg"
                " -no-reboot -nographic -no-user-config -monitor none"
                " -device virtio-rng-pci"
                " -virtfs local,path=/nix/store,security_model=none,mount_tag=nix-store"
                " -net nic,netdev=user.0,model=virtio -netdev user,id=user.0"
                " -device virtio-serial -device virtconsole,chardev=shell"
                " -chardev stdio,id=console"
            ),
            *vm["arguments"],
            *vm["console"]["arguments"],
            *shlex.split(" ".join(vm["options"])),
            *["-kernel", vm["kernel"], "-initrd", vm["initrd"]],
        ]
        tty = vm["console"]["tty"]
        self.arguments = f"console={tty} console=tty0 panic=1 loglevel=7 {vm['cmdline']}"
        self.qemu = None

    def start(self):
        if self.qemu:
            return
        path = tempfile.mkdtemp() + "/shell"
        listener = socket.create_server(path, family=socket.AF_UNIX)
        self.qemu = subprocess.Popen(
            [*self.command, "-append", self.arguments]
            + ["-chardev", f"socket,id=shell,path={path}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self._read_console, daemon=True).start()
        listener.settimeout(BOOT)
        self.shell, _ = listener.accept()
        self.shell.settimeout(BOOT)
        self.answers = self.shell.makefile("rb")
        begin = time.monotonic()
        while self._answer() != "ready":
            pass
        log(f"machine is up after {time.monotonic() - begin:.1f} s")

    def _read_console(self):
        for line in self.qemu.stdout:
            log(f"machine # {line.decode(errors='replace').rstrip()}")

    def _answer(self):
        line = self.answers.readline()
        if not line:
            raise RuntimeError("the machine has ended; what its console said is above")
        return line.decode().strip()

    def _piece(self):
        """A line of the answer to a command; asks for the next one."""
        piece = self._answer()
        self.shell.sendall(b"\n")
        return piece

    def execute(self, command, check_return=True, check_output=True, timeout=900):
        self.start()
        limit = FOREVER if timeout is None else timeout
        self.shell.settimeout(limit + GRACE)
        self.shell.sendall(b"%d %s\n" % (limit, base64.b64encode(command.encode())))
        status = self._piece()
        output = "".join(iter(self._piece, ""))
        text = base64.b64decode(output).decode(errors="replace") if check_output else ""
        return int(status) if check_return else -1, text

    def succeed(self, *commands, timeout=None):
        output = ""
        for command in commands:
            log(f"machine, to succeed: {command}")
            status, text = self.execute(command, timeout=timeout)
            if status != 0:
                raise RuntimeError(f"{command}: exit status {status}, output:\n{text}")
            output += text
        return output

    def fail(self, *commands, timeout=None):
        output = ""
        for command in commands:
            log(f"machine, to fail: {command}")
            status, text = self.execute(command, timeout=timeout)
            if status == 0:
                raise RuntimeError(f"{command}: should have failed, output:\n{text}")
            output += text
        return output

    def wait_for_unit(self, unit, user=None, timeout=900):
        """There are no units; what they are waited for is done."""
        self.start()

    def wait_until_succeeds(self, command, timeout=900):
        log(f"machine, until it succeeds: {command}")
        deadline = time.monotonic() + timeout
        while True:
            status, text = self.execute(command, timeout=timeout)
            if status == 0:
                return text
            if time.monotonic() > deadline:
                raise RuntimeError(f"{command}: no success within {timeout} s")
            time.sleep(1)

    def shutdown(self):
        """Switches off through ACPI, which ends QEMU."""
        self.shell.sendall(b"%d %s\n" % (GRACE, base64.b64encode(b"poweroff -f")))
        self.qemu.wait(GRACE)


@contextlib.contextmanager
def subtest(name):
    log(f"subtest: {name}")
    yield


def main(vm, script):
    with open(vm, encoding="utf-8") as stream:
        machine = Machine(json.load(stream))
    try:
        with open(script, encoding="utf-8") as stream:
            code = compile(stream.read(), script, "exec")
        exec(code, {"machine": machine, "subtest": subtest})
        machine.shutdown()
    finally:
        if machine.qemu:
            machine.qemu.kill()
    log("test script finished")


main(*sys.argv[1:])

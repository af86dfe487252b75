"""A private corner of the machine for one test run.

As root on a kernel that permits it, a run gets namespaces of its own: a network with nothing but
loopback, so that no other user reaches its ports and no running xrdp is in the way; an empty /run;
a copy of /etc, so that the test user exists for this run only; its own process numbers, so that
whatever it started dies with it, however it ends. The files of the machine are otherwise the same.

Containers mostly forbid this. The caller then works in the open, and cleans up after itself.

Source: namespaces(7), mount(2), netdevice(7).
"""

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x8000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

LIBC = ctypes.CDLL(None, use_errno=True)


def permitted():
    """Whether this process may enter(); tried out in a process of its own."""
    trial = ["unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--mount-proc",
             "mount", "-t", "tmpfs", "tmpfs", "/run"]
    return shutil.which("unshare") is not None and subprocess.run(
        trial, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def enter():
    """Goes on in the enclosure: returns in a child process, its process 1.

    The calling process never returns: it hands signals on to the child, waits for it, and exits
    with its status. To be called before the first thread. Raises OSError.
    """
    _check(LIBC.unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET), "unshare")
    child = os.fork()
    if child:
        _wait_and_exit(child)
    _check(LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV)
    _mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    subprocess.run(["cp", "-a", "/etc", "/run/etc"], check=True)
    _mount("/run/etc", "/etc", None, MS_BIND)
    _bring_up_loopback()


def _wait_and_exit(child):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(child, received))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source, target, kind, flags, data=None):
    encode = lambda text: None if text is None else text.encode()
    _check(LIBC.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags),
                      encode(data)), f"mount {target}")


def _bring_up_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh22x", b"lo", 0)
        flags, = struct.unpack_from("16xh", fcntl.ioctl(control, SIOCGIFFLAGS, request))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))

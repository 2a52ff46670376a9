"""What keeps a learner's process in: Linux namespaces, Landlock, resource limits, a user of its own. All by system
calls through ctypes: os.unshare() came with Python 3.12, and a `bwrap` or `unshare` program may not be there.

Everything here runs in processes that :mod:`.launch` has forked, and that never come back.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

__all__ = ["CannotIsolate", "by_landlock", "by_namespaces", "clean_descriptors", "limit", "own_user", "privileges_off"]

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x04000000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 2, 4, 4096, 16384, 1 << 18, 2
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, AT_FDCWD, AT_RECURSIVE = 1, 2, 4, -100, 0x8000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
SYS_mount_setattr, SYS_landlock = 442, (444, 445, 446)  # the same numbers on every architecture but Alpha
SCRATCH_MB = 64
UNUSED_UIDS = 2_000_000_000  # root puts each process under a number of its own, from here on
DEVICES = ("null", "zero", "full", "random", "urandom")


class CannotIsolate(OSError):
    """This system, or this user, cannot do it; the text says what failed."""


def call(name: str, *args) -> int:
    """A C library function. Raises CannotIsolate with errno's words."""
    function = getattr(LIBC, name, None)
    result = -1 if function is None else function(*args)
    if result == -1:
        why = "not in this C library" if function is None else os.strerror(ctypes.get_errno())
        raise CannotIsolate(f"{name}: {why}")
    return result


def prctl(option: int, value: int) -> None:
    call("prctl", option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))


def die_with_parent() -> None:
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def reap_orphans() -> None:
    """Descendants whose parents are gone become children of this process (it is a subreaper)."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


# What may be seen: Python, the libraries, and cowlab. Not the home directory, not other people's work.


def readable() -> list[Path]:
    """Existing paths that Python and cowlab need, none inside another."""
    package = Path(__file__).resolve().parent.parent
    wanted = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, os.path.dirname(os.__file__)]
    wanted += [os.path.realpath(sys.executable), os.path.dirname(sys.executable), str(package)]
    wanted += ["/usr", "/lib", "/lib32", "/lib64", "/bin", "/nix/store", "/gnu/store", "/etc/ld.so.cache"]
    paths = [Path(p) for p in dict.fromkeys(wanted) if p != "/" and os.path.exists(p)]
    return [p for p in paths if not any(q != p and q in p.parents for q in paths)]


# Namespaces


def by_namespaces(scratch: str) -> str:
    """Move this process into namespaces of its own; its children are in a new PID namespace, of which the first is
    process 1, and must call `own_root`. Returns what is in force. Raises CannotIsolate."""
    root = os.geteuid() == 0
    flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | (0 if root else CLONE_NEWUSER)
    uid, gid = os.geteuid(), os.getegid()
    call("unshare", flags)
    if not root:
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", "ascii")
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    return f"namespaces (mount, pid, net, ipc, uts{'' if root else ', user'}), a root of its own"


def own_root(scratch: str) -> None:
    """As process 1 of the namespaces: a root directory in which there is nothing but what `readable` names, read-only,
    and an empty /tmp in memory. Raises CannotIsolate."""
    new = Path(scratch)
    mount("tmpfs", new, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for path in (new / "dev", new / "proc", new / "tmp"):
        path.mkdir()
    mount("tmpfs", new / "tmp", "tmpfs", MS_NOSUID | MS_NODEV, f"size={SCRATCH_MB}m,mode=1777")
    for path in readable():
        target = new / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():  # /lib -> usr/lib
            target.symlink_to(os.readlink(path))
            continue
        target.mkdir(exist_ok=True) if path.is_dir() else target.touch()
        mount(path, target, None, MS_BIND | MS_REC)
        read_only(target)
    for name in DEVICES:
        if os.path.exists(f"/dev/{name}"):
            (new / "dev" / name).touch()
            mount(f"/dev/{name}", new / "dev" / name, None, MS_BIND)
    with contextlib.suppress(CannotIsolate):  # refused in some containers; Python does without
        mount("proc", new / "proc", "proc", MS_NOSUID | MS_NODEV)
    read_only(new, recursive=False)
    os.chdir(new)
    call("pivot_root", b".", b".")
    call("umount2", b".", MNT_DETACH)
    os.chdir("/tmp")


def mount(source, target, kind, flags: int, data: str = "") -> None:
    c = [None if x is None else os.fsencode(x) for x in (source, target, kind)]
    try:
        call("mount", *c, ctypes.c_ulong(flags), data.encode() or None)
    except CannotIsolate as e:
        raise CannotIsolate(f"{e} ({kind or 'bind'} at {target})") from None


def read_only(path: Path, recursive: bool = True) -> None:
    """Also what is mounted below; that it was mounted by somebody else does not matter to mount_setattr(2)."""
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0, 0, 0)
    flags = AT_RECURSIVE if recursive else 0
    call("syscall", SYS_mount_setattr, AT_FDCWD, os.fsencode(path), flags, attributes, ctypes.sizeof(attributes))


# Landlock: for systems on which ordinary users get no namespaces (containers, AppArmor)

READ_FILE, READ_DIR, EXECUTE, WRITE_FILE = 1 << 2, 1 << 3, 1 << 0, 1 << 1
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # ABI -> how many file system rights it knows; 16 since ABI 5
SCOPE_SIGNALS_ABI = 6


def by_landlock(scratch: str) -> str:
    """Deny this process all files but those that `readable` names, and its scratch directory; TCP (ABI 4); abstract
    sockets and signals to others (ABI 6). For good. UDP, and sockets that have a path, stay within reach. Returns what
    is in force. Raises CannotIsolate."""
    create, add_rule, restrict = SYS_landlock
    abi = call("syscall", create, None, ctypes.c_size_t(0), 1)
    every = (1 << RIGHTS.get(abi, 16)) - 1
    rules = (ctypes.c_uint64 * 3)(every, 3 if abi >= 4 else 0, 3 if abi >= SCOPE_SIGNALS_ABI else 0)
    size = 8 if abi < 4 else 16 if abi < SCOPE_SIGNALS_ABI else 24
    ruleset = call("syscall", create, rules, ctypes.c_size_t(size), 0)

    def allow(path, rights):
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rights &= every if os.path.isdir(path) else every & (READ_FILE | WRITE_FILE | EXECUTE)
        call("syscall", add_rule, ruleset, 1, (ctypes.c_char * 12).from_buffer_copy(
            rights.to_bytes(8, sys.byteorder) + fd.to_bytes(4, sys.byteorder)), 0)  # fmt: skip
        os.close(fd)

    for path in readable():
        allow(path, READ_FILE | READ_DIR | EXECUTE)
    for name in DEVICES:
        if os.path.exists(f"/dev/{name}"):
            allow(f"/dev/{name}", READ_FILE | WRITE_FILE)
    allow(scratch, every)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    call("syscall", restrict, ruleset, 0)
    os.close(ruleset)
    return f"Landlock (ABI {abi})"


# Limits


def limit(seconds: float, megabytes: int, processes: bool = False) -> None:
    """CPU time, address space, file size, descriptors, no core dump; unless ``processes``, no fork and no thread."""
    cpu = int(seconds) + 1
    for what, soft in (
        (resource.RLIMIT_CPU, cpu), (resource.RLIMIT_AS, megabytes << 20), (resource.RLIMIT_FSIZE, 16 << 20),
        (resource.RLIMIT_NOFILE, 256 if processes else 64), (resource.RLIMIT_CORE, 0),
        (getattr(resource, "RLIMIT_MSGQUEUE", None), 0),
        (None if processes else resource.RLIMIT_NPROC, 1),
    ):  # fmt: skip
        if what is not None:
            hard = resource.getrlimit(what)[1]
            soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
            resource.setrlimit(what, (soft, soft))


def own_user(scratch: str) -> bool:
    """If this is root: become a user that nobody else is, who owns the scratch directory. The limit on processes does
    not hold for root, and root may kill everybody."""
    if os.geteuid() != 0:
        return False
    uid = UNUSED_UIDS + os.getpid()
    try:
        os.chown(scratch, uid, uid)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    except OSError as e:
        raise CannotIsolate(f"root cannot become another user here ({e.strerror}); grade as an ordinary user") from None
    if not os.access(os.__file__, os.R_OK):
        raise CannotIsolate(f"no other user than root can read {os.__file__}; grade as an ordinary user")
    return True


def privileges_off() -> None:
    """No capability is left (a user namespace brings them all), and none comes back by exec."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    call("capset", header, (ctypes.c_uint32 * 6)())


def clean_descriptors(keep: int) -> int:
    """Standard input, output and error become /dev/null; ``keep`` becomes 3; nothing else stays open. Returns 3."""
    null = os.open(os.devnull, os.O_RDWR)
    if keep != 3:
        os.dup2(keep, 3)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    os.set_inheritable(3, False)
    return 3

"""Raw system calls through libc, for the helper process. Failures are OSError with the kernel's errno.

Nothing of cowlab is imported here: the helper runs with ``python -I -S`` and starts in a few milliseconds.
"""

import ctypes
import errno
import os
import platform
import struct

__all__ = [
    "PAGE", "PMD", "Ring", "advise", "fork_sibling", "futex_wait", "load8", "map_page", "mapped", "prctl", "protect",
    "read_self", "splice_in", "store8", "tee", "unmap", "write_from",
]  # fmt: skip

PAGE, PMD = 4096, 2 << 20
PROT_READ, PROT_WRITE = 1, 2
MAP_SHARED, MAP_PRIVATE, MAP_ANONYMOUS, MAP_FIXED_NOREPLACE = 0x01, 0x02, 0x20, 0x100000
ADVICE = {"dontneed": 4, "dontfork": 10, "hugepage": 14, "nohugepage": 15, "pageout": 21}
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
CLONE_PARENT, SIGCHLD = 0x8000, 17
NUMBERS = {  # of those that libc has no function for: clone, futex; io_uring's are the same everywhere
    "x86_64": (56, 202),
    "aarch64": (220, 98),
}
SETUP, ENTER, REGISTER = 425, 426, 427  # io_uring
READ_FIXED, WRITE_FIXED = 4, 5

libc = ctypes.PyDLL(None, use_errno=True)  # PyDLL: no call here blocks for long, so the GIL is never let go
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
for _name, _args in {
    "munmap": (ctypes.c_void_p, ctypes.c_size_t),
    "mprotect": (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int),
    "madvise": (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int),
    "mincore": (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p),
    "prctl": (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong),
}.items():
    getattr(libc, _name).argtypes = _args
libc.syscall.restype = ctypes.c_long
_scratch = ctypes.create_string_buffer(64)
_iov = (ctypes.c_ulong * 4)()


def checked(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def number(name: str) -> int:
    """Of a system call on this processor. Raises OSError(ENOSYS) on one that nobody has written down."""
    try:
        return NUMBERS[platform.machine()][("clone", "futex").index(name)]
    except KeyError:
        raise OSError(errno.ENOSYS, f"the number of {name}() on {platform.machine()} is not known here") from None


def syscall(n: int, *args: int) -> int:
    return checked(libc.syscall(ctypes.c_long(n), *(ctypes.c_ulong(a & (2**64 - 1)) for a in args)))


def map_page(at: int, length: int, writable: bool, shared: bool, fd: int) -> int:
    """A mapping of its own at this address, which must be free: neighbours are megabytes away, so none merges."""
    flags = (MAP_SHARED if shared else MAP_PRIVATE) | (MAP_ANONYMOUS if fd < 0 else 0) | MAP_FIXED_NOREPLACE
    got = libc.mmap(at, length, PROT_READ | PROT_WRITE * writable, flags, fd, 0)
    if got != at:
        checked(-1 if got == 2**64 - 1 else libc.munmap(got, length))
        raise OSError(errno.EEXIST, f"the address {at:#x} is taken")
    return got


def unmap(at: int, length: int) -> None:
    checked(libc.munmap(at, length))


def protect(at: int, length: int, writable: bool) -> None:
    checked(libc.mprotect(at, length, PROT_READ | PROT_WRITE * writable))


def advise(at: int, length: int, advice: str) -> None:
    checked(libc.madvise(at, length, ADVICE[advice]))


def mapped(at: int) -> bool:
    """Is there a mapping? mincore(2) touches nothing."""
    return libc.mincore(at, PAGE, ctypes.addressof(_scratch)) == 0


def load8(at: int) -> int:
    """One load by the CPU. A bad address is a real SIGSEGV."""
    return ctypes.c_uint64.from_address(at).value


def store8(at: int, value: int) -> None:
    """One store by the CPU, without a load before it."""
    ctypes.c_uint64.from_address(at).value = value


def prctl(option: int, argument: int) -> None:
    checked(libc.prctl(option, argument, 0, 0, 0))


def fork_sibling() -> int:
    """fork(2), but the child becomes the caller's sibling: whoever waits for the caller waits for it too, and it
    outlives the caller. clone(2) with CLONE_PARENT copies the mm exactly as fork does."""
    return syscall(number("clone"), CLONE_PARENT | SIGCHLD, 0, 0, 0, 0)


def splice_in(fd: int, at: int) -> None:
    """vmsplice(2): the pipe holds the page itself."""
    _iov[0], _iov[1] = at, PAGE
    checked(libc.vmsplice(fd, _iov, ctypes.c_ulong(1), 0))


def tee(source: int, to: int, length: int = 8) -> int:
    """tee(2): both pipes hold the page now, and nothing was copied or consumed."""
    return checked(libc.tee(source, to, ctypes.c_size_t(length), 0))


def read_self(at: int) -> int:
    """process_vm_readv(2) of the caller's own memory."""
    _iov[0], _iov[1], _iov[2], _iov[3] = ctypes.addressof(_scratch), 8, at, 8
    local, remote = _iov, ctypes.byref(_iov, 16)
    checked(libc.process_vm_readv(os.getpid(), local, ctypes.c_ulong(1), remote, ctypes.c_ulong(1), ctypes.c_ulong(0)))
    return int.from_bytes(_scratch.raw[:8], "little")


def write_from(fd: int, at: int) -> None:
    """write(2) of one page, from the page itself if the file is open with O_DIRECT."""
    checked(libc.pwrite(fd, ctypes.c_void_p(at), ctypes.c_size_t(PAGE), ctypes.c_long(0)))


def futex_wait(at: int) -> None:
    """A shared FUTEX_WAIT for a value that no test writes: raises EAGAIN at once, if there is a key."""
    syscall(number("futex"), at, 0, 0xFFFFFFFF, 0, 0, 0)


class Ring:
    """An io_uring of one entry, with one registered buffer: it is pinned until it is unregistered.

    The rings are shared memory, so every process that inherits the descriptor may submit, one at a time.
    Source: include/uapi/linux/io_uring.h, struct io_uring_params.
    """

    def __init__(self, fd: int = -1, layout: tuple = ()):
        if fd < 0:
            params = ctypes.create_string_buffer(120)
            fd = syscall(SETUP, 1, ctypes.addressof(params))
            words = struct.unpack("<30I", params.raw)
            layout = (
                words[10:17],
                words[20:26],
            )  # sq_off: head tail mask entries flags dropped array; cq_off: ... cqes
        self.fd, self.layout = fd, layout
        sq, cq = layout
        self.sq, self.cq, self.sqe = (
            self._map(size, offset) for size, offset in ((sq[6] + 4, 0), (cq[5] + 32, 0x8000000), (64, 0x10000000))
        )

    def _map(self, size: int, offset: int) -> int:
        got = libc.mmap(None, size, PROT_READ | PROT_WRITE, MAP_SHARED, self.fd, offset)
        return checked(-1) if got == 2**64 - 1 else got

    def register(self, at: int) -> None:
        """IORING_REGISTER_BUFFERS: FOLL_PIN | FOLL_WRITE | FOLL_LONGTERM."""
        _iov[0], _iov[1] = at, PAGE
        syscall(REGISTER, self.fd, 0, ctypes.addressof(_iov), 1)

    def unregister(self) -> None:
        """IORING_UNREGISTER_BUFFERS."""
        syscall(REGISTER, self.fd, 1, 0, 0)

    def transfer(self, op: int, fd: int, at: int) -> None:
        """8 bytes between the registered buffer and ``fd``, and wait for it."""
        (_, tail, mask, _, _, _, array), cq = self.layout
        word = ctypes.c_uint32.from_address
        ctypes.memmove(self.sqe, struct.pack("<BBHiQQIIQHHi16x", op, 0, 0, fd, 0, at, 8, 0, 0, 0, 0, 0), 64)
        next_ = word(self.sq + tail).value
        word(self.sq + array + 4 * (next_ & word(self.sq + mask).value)).value = 0
        word(self.sq + tail).value = (next_ + 1) & 0xFFFFFFFF
        syscall(ENTER, self.fd, 1, 1, 1, 0, 0)  # IORING_ENTER_GETEVENTS
        at_head = word(self.cq + cq[0]).value
        entry = self.cq + cq[5] + 16 * (at_head & word(self.cq + cq[2]).value)
        result = ctypes.c_int32.from_address(entry + 8).value
        word(self.cq + cq[0]).value = (at_head + 1) & 0xFFFFFFFF
        if result != 8:
            raise OSError(-result if result < 0 else errno.EIO, os.strerror(-result if result < 0 else errno.EIO))

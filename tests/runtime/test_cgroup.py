"""The memory limit of cgroups, read from folders as kernels and container runtimes make them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidecar.runtime.cgroup import memory_limit_bytes

MIB = 1 << 20
NO_LIMIT_V1 = "9223372036854771712\n"


class Machine:
    """A machine's cgroup files, and what /proc tells a process of them."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.proc.mkdir()
        self.mount = folder / "sys fs" / "cgroup"
        self.groups: list[str] = []
        self.mounts: list[str] = ["22 1 0:20 / / rw - ext4 /dev/sda rw"]

    def is_in(self, line: str) -> None:
        """The process is in a group: a line of /proc/self/cgroup."""
        self.groups.append(line)

    def has_mount(self, kind: str, options: str, root: str = "/") -> None:
        """Groups are mounted, those from ``root`` on."""
        where = str(self.mount).replace(" ", "\\040")
        self.mounts.append(
            f"30 22 0:28 {root} {where} rw,nosuid shared:4 - {kind} cgroup {options}"
        )

    def limit(self, path: str, text: str | bytes, name: str = "memory.max") -> None:
        """A group's file says a limit."""
        file = self.mount / path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def read(self) -> int | None:
        """What the process may take."""
        (self.proc / "cgroup").write_text("\n".join(self.groups) + "\n")
        (self.proc / "mountinfo").write_text("\n".join(self.mounts) + "\n")
        return memory_limit_bytes(self.proc)


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def test_a_container_of_version_2_has_the_limit_of_its_namespaces_root(machine):
    """What Kubernetes gives: the group's path is `/`, and the mount shows the container's own."""
    machine.is_in("0::/")
    machine.has_mount("cgroup2", "rw,nsdelegate")
    machine.limit("", f"{192 * MIB}\n")

    assert 192 * MIB == machine.read()


def test_the_smallest_limit_on_the_way_up_counts(machine):
    """A pod's limit binds its containers; one that is beside the way does not."""
    machine.is_in("0::/kubepods/pod1/container")
    machine.has_mount("cgroup2", "rw")
    machine.limit("kubepods/pod1/container", "max\n")
    machine.limit("kubepods/pod1", f"{100 * MIB}\n")
    machine.limit("kubepods", f"{500 * MIB}\n")
    machine.limit("kubepods/pod2", f"{MIB}\n")

    assert 100 * MIB == machine.read()


def test_a_container_of_version_1_sees_its_group_as_the_root_of_the_mount(machine):
    """Docker tells the path as the node has it, and mounts the group itself."""
    machine.is_in("5:cpu,cpuacct:/docker/0abc")
    machine.is_in("4:memory:/docker/0abc")
    machine.has_mount("cgroup", "rw,memory", root="/docker/0abc")
    machine.limit("", f"{64 * MIB}\n", "memory.limit_in_bytes")

    assert 64 * MIB == machine.read()


def test_a_machine_of_version_1_shows_all_groups(machine):
    """Version 2 may be mounted beside it, without memory's files."""
    machine.is_in("4:memory:/a/b")
    machine.is_in("0::/")
    machine.has_mount("cgroup", "rw,cpu")
    machine.has_mount("cgroup", "rw,memory")
    machine.has_mount("cgroup2", "rw")
    machine.limit("a/b", NO_LIMIT_V1, "memory.limit_in_bytes")
    machine.limit("a", f"{80 * MIB}\n", "memory.limit_in_bytes")
    machine.limit("", NO_LIMIT_V1, "memory.limit_in_bytes")

    assert 80 * MIB == machine.read()


def test_a_version_that_the_process_is_in_no_group_of_limits_nothing(machine):
    """It is mounted beside the one that counts."""
    machine.is_in("0::/")
    machine.has_mount("cgroup", "rw,memory")
    machine.limit("", f"{MIB}\n", "memory.limit_in_bytes")

    assert machine.read() is None


@pytest.mark.parametrize("group", ["/../../other", "/elsewhere/x"])
def test_a_group_outside_of_what_is_mounted_has_the_mounts_limit(machine, group):
    """A process that was moved is told a path above its root."""
    machine.is_in(f"0::{group}")
    machine.has_mount("cgroup2", "rw", root="/" if ".." in group else "/kubepods")
    machine.limit("", f"{70 * MIB}\n")

    assert 70 * MIB == machine.read()


@pytest.mark.parametrize(
    "text",
    ["max\n", "", "-1\n", "0\n", "12 MiB\n", "1e9", "\u0661\u0662", NO_LIMIT_V1, "9" * 30, b"\xff\x00", b"1" * (2 << 20)],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_what_is_no_limit_limits_nothing(machine, text):
    """Words, nonsense, what version 1 says instead of a word, and files without an end."""
    machine.is_in("0::/")
    machine.has_mount("cgroup2", "rw")
    machine.limit("", text)

    assert machine.read() is None


@pytest.mark.parametrize("line", ["", "0", ":::", "x:memory", "nonsense", "\x00" * 9])
def test_nonsense_about_groups_limits_nothing(machine, line):
    """What tells of them may be anything in a sandbox."""
    machine.is_in(line)
    machine.mounts += [line, " - ", "1 2 3 4 - cgroup2", "1 2 3 4 5 - cgroup2 x"]

    assert machine.read() is None


def test_files_that_cannot_be_read_limit_nothing(machine, tmp_path):
    """None at all, folders in their place, and names that no file can have."""
    machine.is_in("0::/a\0b")
    machine.has_mount("cgroup2", "rw")
    (machine.mount / "memory.max").mkdir(parents=True)

    assert [None, None] == [machine.read(), memory_limit_bytes(tmp_path / "none")]


@pytest.mark.skipif(
    not os.access("/sys/fs/cgroup/memory", os.W_OK) or os.geteuid() != 0,
    reason="version 1's memory groups cannot be written here",
)
def test_a_real_groups_limit_is_read():
    """The kernel's own files, of a group below the one that this process is in."""
    group = Path(f"/sys/fs/cgroup/memory/limit-{os.getpid()}")
    own = Path("/sys/fs/cgroup/memory") / next(
        line.split(":", 2)[2].lstrip("/")
        for line in Path("/proc/self/cgroup").read_text().splitlines()
        if ":memory:" in line
    )
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(64 * MIB))
        pid = os.fork()
        if pid == 0:
            (group / "cgroup.procs").write_text(str(os.getpid()))
            os._exit(0 if memory_limit_bytes() == 64 * MIB else 1)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        group.rmdir()
    assert own.exists()

"""The wheel and the source distribution are built for real, and hold what they should and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
ROOMS = ("engine", "nodes", "workflows", "visualize")
PAPERS = ("LICENSE", "README.md", "CHANGELOG.md", "MANIFEST.in", "pyproject.toml")
MADE_BY_THE_BUILD = ("PKG-INFO", "setup.cfg", "milepost.egg-info")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both distributions from a copy of the sources, links included, and return their folder."""
    source = tmp_path_factory.mktemp("source")
    for paper in PAPERS:
        shutil.copy(ROOT / paper, source)
    shutil.copytree(ROOT / "milepost", source / "milepost", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", source / "tests", ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for room in ROOMS:
        (source / room).symlink_to(Path("milepost") / room)
    target = tmp_path_factory.mktemp("distributions")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the content of the wheel, as an installation lays it out."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def package_files() -> set[str]:
    """Return every file of the package, as a path from the root of the project."""
    package = ROOT / "milepost"
    files = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in files}


def metadata(folder: Path) -> Message:
    (found,) = folder.glob("*.dist-info/METADATA")
    return Parser().parsestr(found.read_text(encoding="utf-8"))


def test_the_rooms_are_shown_at_the_root_by_links() -> None:
    for room in ROOMS:
        link = ROOT / room
        assert link.is_symlink()
        assert link.readlink() == Path("milepost") / room
        assert link.is_dir()


def test_the_wheel_holds_every_file_of_the_package_once_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    shipped = [name for name in names if not name.startswith("milepost-0.1.0.dist-info/")]
    assert sorted(shipped) == sorted(package_files())
    assert "milepost/py.typed" in shipped


def test_the_wheel_installs_no_top_level_name_but_milepost(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("milepost-0.1.0.dist-info/top_level.txt").split() == [b"milepost"]
        assert {name.partition("/")[0] for name in archive.namelist()} == {"milepost", "milepost-0.1.0.dist-info"}


def test_the_source_distribution_holds_the_package_once_and_its_papers(built: Path) -> None:
    (found,) = built.glob("*.tar.gz")
    with tarfile.open(found) as archive:
        members = archive.getmembers()
    assert not [member.name for member in members if member.issym() or member.islnk()]
    files = [member.name.removeprefix("milepost-0.1.0/") for member in members if member.isfile()]
    own = [name for name in files if not name.startswith(MADE_BY_THE_BUILD)]
    assert sorted(own) == sorted([*package_files(), *PAPERS])


def test_the_licence_is_shipped_whole(unpacked: Path) -> None:
    assert metadata(unpacked)["License-Expression"] == "Apache-2.0"
    (shipped,) = unpacked.glob("*.dist-info/licenses/LICENSE")
    text = shipped.read_text(encoding="utf-8")
    assert text == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_wheel_says_what_it_needs_and_which_python(unpacked: Path) -> None:
    told = metadata(unpacked)
    assert told["Name"] == "milepost"
    assert told["Requires-Python"] == ">=3.11"
    needed = {Requirement(line) for line in told.get_all("Requires-Dist", []) if "extra ==" not in line}
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["dependencies"]
    assert needed == {Requirement(line) for line in declared}


def test_the_package_of_the_wheel_is_importable_and_its_command_answers(unpacked: Path, tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r}); import milepost, milepost.cli.main as command; "
        "print(milepost.__file__); sys.argv = ['milepost', '--version']; sys.exit(command.main())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    where, answer = done.stdout.splitlines()
    assert Path(where).parent == unpacked / "milepost"
    assert "0.1.0" in answer


def test_the_installed_version_is_the_one_in_pyproject() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert version("milepost") == tomllib.load(file)["project"]["version"]


def test_pinned_requirements_have_hashes_and_name_no_address() -> None:
    for name in ("run.txt", "dev.txt"):
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        assert "://" not in text
        assert "file:" not in text
        assert "--index-url" not in text
        joined = text.replace("\\\n", " ")
        pins = [line for line in joined.splitlines() if line and not line.lstrip().startswith("#")]
        assert pins
        assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)


def test_what_runs_and_what_develops_are_pinned_to_the_same_versions() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return {line.split()[0] for line in text.splitlines() if "==" in line}

    assert pins("run.txt") <= pins("dev.txt")

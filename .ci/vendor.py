"""Scripts by others, the console's and its tests': fetched from npm by version, kept compressed, held against hashes.

`make vendor` fetches them with `npm pack`, whatever registry npm is set to, and writes them with a manifest beside
them; `make check` runs this with --check, which needs no network.
"""

import base64
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
MANIFEST = "vendor.toml"
# By folder and package: the version, and the files to take out of it.
WANTED = {
    "errand/api/console/static/vendor": {
        "htmx.org": ("4.0.1", ("dist/htmx.min.js", "dist/ext/hx-sse.min.js")),
        "uplot": ("1.6.32", ("dist/uPlot.iife.min.js", "dist/uPlot.min.css")),
    },
    "tests/browser/vendor": {  # no part of the wheel, and never served
        "axe-core": ("4.14.1", ("axe.min.js",)),
    },
}
HEAD = "# Written by .ci/vendor.py (make vendor). Each file is kept as NAME.gz; sha256 is that of NAME, unpacked.\n"


def fetch(folder: Path, wanted: dict[str, tuple[str, tuple[str, ...]]]) -> None:
    """Write a folder's files and manifest anew; what npm gives must be what the manifest says, if it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {package["name"]: package for package in read_manifest(folder)}
    tables = []
    for name, (version, paths) in wanted.items():
        tarball = _pack(name, version)
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()
        before = known.get(name, {})
        if before.get("version") == version and before["integrity"] != integrity:
            sys.exit(f"{name} {version} is not what it was: {integrity}, not {before['integrity']}")
        tables.append(_write_package(folder, name, version, integrity, tarball, paths))
    (folder / MANIFEST).write_text(HEAD + "\n".join(tables))


def _pack(name: str, version: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--json", f"{name}@{version}"]
        packed = subprocess.run(command, cwd=folder, check=True, capture_output=True)  # npm itself checks its hash
        return (Path(folder) / json.loads(packed.stdout)[0]["filename"]).read_bytes()


def _write_package(
    folder: Path, name: str, version: str, integrity: str, tarball: bytes, paths: tuple[str, ...]
) -> str:
    """Write a package's files; return its table of the manifest."""
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        found = {path: _read(archive, path) for path in (*paths, "LICENSE", "package.json")}
    about, licence = json.loads(found["package.json"]), found["LICENSE"].decode().strip()
    lines = ["", "[[package]]", f'name = "{name}"', f'version = "{version}"', f'licence = "{about["license"]}"']
    lines += [f'integrity = "{integrity}"', f"licence_text = '''\n{licence}\n'''", "[package.sha256]"]
    for path in paths:
        file = path.rpartition("/")[2]
        (folder / f"{file}.gz").write_bytes(gzip.compress(found[path], 9, mtime=0))
        lines.append(f'"{file}" = "{hashlib.sha256(found[path]).hexdigest()}"')
    return "\n".join(lines) + "\n"


def _read(archive: tarfile.TarFile, path: str) -> bytes:
    member = archive.extractfile(f"package/{path}")
    assert member is not None, path
    return member.read()


def read_manifest(folder: Path) -> list[dict]:
    """Return the packages as the folder's manifest has them."""
    path = folder / MANIFEST
    return tomllib.loads(path.read_text())["package"] if path.exists() else []


def check(folder: Path, wanted: dict[str, tuple[str, tuple[str, ...]]]) -> list[str]:
    """Return what is wrong with the files that are there."""
    packages = read_manifest(folder)
    hashes = {f"{name}.gz": value for package in packages for name, value in package["sha256"].items()}
    there = {path.name: path for path in folder.glob("*.gz")}
    faults = [f"{name}: is not in vendor.toml" for name in there.keys() - hashes.keys()]
    faults += [f"{name}: is missing" for name in hashes.keys() - there.keys()]
    for name in there.keys() & hashes.keys():
        if hashlib.sha256(gzip.decompress(there[name].read_bytes())).hexdigest() != hashes[name]:
            faults.append(f"{name}: is not what vendor.toml says")
    versions = {package["name"]: package["version"] for package in packages}
    if versions != {name: version for name, (version, _) in wanted.items()}:
        faults.append(f"vendor.toml: has {versions}; run `make vendor`")
    return sorted(faults)


if __name__ == "__main__":
    if "--check" not in sys.argv[1:]:
        for place, wanted in WANTED.items():
            fetch(ROOT / place, wanted)
    if faults := [f"{place}/{fault}" for place, wanted in WANTED.items() for fault in check(ROOT / place, wanted)]:
        sys.exit("\n".join(faults))

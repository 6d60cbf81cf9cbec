"""The console's scripts by others: fetched from npm by version, kept compressed, held against their hashes.

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

FOLDER = Path(__file__).parent.parent / "errand/api/console/static/vendor"
MANIFEST = FOLDER / "vendor.toml"
# By package: the version, and the files to take out of it.
WANTED = {
    "htmx.org": ("4.0.1", ("dist/htmx.min.js", "dist/ext/hx-sse.min.js")),
    "uplot": ("1.6.32", ("dist/uPlot.iife.min.js", "dist/uPlot.min.css")),
}
HEAD = "# Written by .ci/vendor.py (make vendor). Each file is kept as NAME.gz; sha256 is that of NAME, unpacked.\n"


def fetch() -> None:
    """Write the files and the manifest anew; what npm gives must be what it says in the manifest, if it is there."""
    known = {package["name"]: package for package in read_manifest()}
    tables = []
    for name, (version, paths) in WANTED.items():
        tarball = _pack(name, version)
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()
        before = known.get(name, {})
        if before.get("version") == version and before["integrity"] != integrity:
            sys.exit(f"{name} {version} is not what it was: {integrity}, not {before['integrity']}")
        tables.append(_write_package(name, version, integrity, tarball, paths))
    MANIFEST.write_text(HEAD + "\n".join(tables))


def _pack(name: str, version: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--json", f"{name}@{version}"]
        packed = subprocess.run(command, cwd=folder, check=True, capture_output=True)  # npm itself checks its hash
        return (Path(folder) / json.loads(packed.stdout)[0]["filename"]).read_bytes()


def _write_package(name: str, version: str, integrity: str, tarball: bytes, paths: tuple[str, ...]) -> str:
    """Write a package's files; return its table of the manifest."""
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        found = {path: _read(archive, path) for path in (*paths, "LICENSE", "package.json")}
    about, licence = json.loads(found["package.json"]), found["LICENSE"].decode().strip()
    lines = ["", "[[package]]", f'name = "{name}"', f'version = "{version}"', f'licence = "{about["license"]}"']
    lines += [f'integrity = "{integrity}"', f"licence_text = '''\n{licence}\n'''", "[package.sha256]"]
    for path in paths:
        file = path.rpartition("/")[2]
        (FOLDER / f"{file}.gz").write_bytes(gzip.compress(found[path], 9, mtime=0))
        lines.append(f'"{file}" = "{hashlib.sha256(found[path]).hexdigest()}"')
    return "\n".join(lines) + "\n"


def _read(archive: tarfile.TarFile, path: str) -> bytes:
    member = archive.extractfile(f"package/{path}")
    assert member is not None, path
    return member.read()


def read_manifest() -> list[dict]:
    """Return the packages as the manifest has them."""
    return tomllib.loads(MANIFEST.read_text())["package"] if MANIFEST.exists() else []


def check() -> list[str]:
    """Return what is wrong with the files that are there."""
    packages = read_manifest()
    hashes = {f"{name}.gz": value for package in packages for name, value in package["sha256"].items()}
    there = {path.name: path for path in FOLDER.glob("*.gz")}
    faults = [f"{name}: is not in vendor.toml" for name in there.keys() - hashes.keys()]
    faults += [f"{name}: is missing" for name in hashes.keys() - there.keys()]
    for name in there.keys() & hashes.keys():
        if hashlib.sha256(gzip.decompress(there[name].read_bytes())).hexdigest() != hashes[name]:
            faults.append(f"{name}: is not what vendor.toml says")
    versions = {package["name"]: package["version"] for package in packages}
    if versions != {name: version for name, (version, _) in WANTED.items()}:
        faults.append(f"vendor.toml: has {versions}; run `make vendor`")
    return sorted(faults)


if __name__ == "__main__":
    if "--check" not in sys.argv[1:]:
        FOLDER.mkdir(parents=True, exist_ok=True)
        fetch()
    if faults := check():
        sys.exit("\n".join(f"errand/api/console/static/vendor/{fault}" for fault in faults))

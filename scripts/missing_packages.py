"""Prints those of the pinned packages (NAME==VERSION) that this Python does not have whole.

An installation that was interrupted or damaged counts as missing: every file that the package's RECORD
lists must be there in its size. So does a Meson whose script starts the Python of another folder: .venv was
moved. What is left of it is forgotten, so that pip installs the package anew.
"""

import importlib.metadata
import os
import shutil
import sys
import sysconfig


def is_whole(distribution):
    files = distribution.files
    if not files or not distribution.read_text("INSTALLER"):  # pip writes both last
        return False
    try:
        if distribution.name == "meson" and not starts_this_python("meson"):
            return False
        return all(os.stat(file.locate()).st_size == file.size for file in files if file.size is not None)
    except OSError:
        return False


def starts_this_python(script):
    with open(os.path.join(sysconfig.get_path("scripts"), script), "rb") as file:
        return os.fsencode(sys.prefix + os.sep) in file.read(1000)


def forget(name):
    folder = sysconfig.get_path("purelib")
    prefix = name.replace("-", "_") + "-"
    for entry in os.listdir(folder):
        if entry.startswith(prefix) and entry.endswith(".dist-info"):
            shutil.rmtree(os.path.join(folder, entry))


for requirement in sys.argv[1:]:
    name, version = requirement.split("==")
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        print(requirement)
        continue
    whole = is_whole(distribution)
    if not whole:
        forget(name)
    if not whole or distribution.version != version:
        print(requirement)

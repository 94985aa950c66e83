#!/bin/sh
# build-here.sh FOLDER: the image of this checkout, built where no registry of images can be reached.
#
# The base is made by debootstrap, the Dockerfile is run by buildah; both are Debian's, and want root. FOLDER gets all
# that is made (about 1 GB, nothing outside of it): `root`, the image's root file system, mounted, and `size`, in bytes.
# `build-here.sh --clean FOLDER` unmounts it and removes the folder.
# VENV: where pip and uv are, which fetch the wheels (.venv, after `make lint`). SUITE, MIRROR: Debian's.
set -eu
cd "$(dirname "$0")/../../.."
clean=; [ "${1-}" = --clean ] && { clean=1; shift; }
[ $# = 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
folder=$1 suite=${SUITE-bookworm} bin=${VENV-.venv}/bin
for tool in debootstrap buildah; do
  command -v $tool > /dev/null || { echo "build-here.sh: $tool isn't installed: apt-get install $tool" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "build-here.sh: debootstrap and buildah's mounts want root" >&2; exit 1; }

build() {
  buildah --root "$folder/storage" --runroot "$folder/run" "$@"
}

if [ -n "$clean" ]; then
  [ -d "$folder" ] || exit 0
  folder=$(realpath "$folder")
  build rm --all > /dev/null
  build rmi --all --force > /dev/null
  rm -rf "$folder"
  exit 0
fi
mkdir -p "$folder"
folder=$(realpath "$folder")

if ! build inspect --type image base > /dev/null 2>&1; then
  echo "making the base: Debian $suite with Python"
  debootstrap --variant=minbase --include=python3,ca-certificates "$suite" "$folder/base" ${MIRROR-} > "$folder/debootstrap.log" \
    || { tail -3 "$folder/debootstrap.log" >&2; exit 1; }
  # Without what apt fetches anew; lean.sh takes more. One with venv and pip is needed to build.
  container=$(build from scratch)
  rootfs=$(build mount "$container")
  # Of this file system alone: debootstrap may leave its /proc mounted there, whose files have no end.
  cp -ax "$folder/base/." "$rootfs"
  rm -rf "$rootfs"/var/cache/apt/* "$rootfs"/var/lib/apt/lists/* "$rootfs"/dev/* "$rootfs"/var/log/*
  build umount "$container" > /dev/null
  build commit --quiet --rm "$container" base > /dev/null
  container=$(build from base)
  build run --isolation chroot "$container" -- sh -c 'apt-get -qq update && apt-get -qq install -y --no-install-recommends \
    binutils python3-venv > /dev/null 2>&1'
  build commit --quiet --rm "$container" build-base > /dev/null
  umount "$folder/base/proc" 2> /dev/null || true
  rm -rf --one-file-system "$folder/base"
fi

echo "fetching wheels, by hash"
container=$(build from --pull-never localhost/base)
version=$(build run --isolation chroot "$container" -- python3 -c 'import platform; print(platform.python_version())')
build rm "$container" > /dev/null
# What the lock asks of this Python, and not of the one that fetches.
"$bin/uv" pip compile --quiet --no-deps --generate-hashes --no-header --python-version "$version" \
  requirements/build.txt requirements/image.txt -o "$folder/wanted.txt"
"$bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
  --python-version "${version%.*}" -r "$folder/wanted.txt" -d "$folder/wheels" 2> "$folder/pip.log" || { cat "$folder/pip.log" >&2; exit 1; }

echo "building"
build bud --quiet --isolation chroot --pull-never --layers=false -f ops/deploy/image/Dockerfile \
  --ignorefile ops/deploy/image/Dockerfile.dockerignore -v "$folder/wheels:/wheels:ro" \
  --build-arg BASE=localhost/base --build-arg BUILD_BASE=localhost/build-base \
  --build-arg PIP_FIND_LINKS=/wheels --build-arg PIP_NO_INDEX=1 -t uniassist:here . > /dev/null
for container in $(build containers --quiet); do build rm "$container" > /dev/null; done
container=$(build from --pull-never localhost/uniassist:here)
ln -sfn "$(build mount "$container")" "$folder/root"
build inspect --type image localhost/uniassist:here > "$folder/image.json"
du -sb "$folder/root/" | cut -f 1 > "$folder/size"
echo "the image: $(awk '{printf "%d", $1 / 1e6}' "$folder/size") MB of files, of which UniAssist and its Python packages \
$(du -sb "$folder/root/opt/uniassist" | awk '{printf "%d", $1 / 1e6}') MB; $(du -sm "$folder/root/" | cut -f 1) MB on a disk of 4 KB blocks; packed $(tar -C "$folder/root" -c . | gzip -1 | wc -c | awk '{printf "%d", $1 / 1e6}') MB"

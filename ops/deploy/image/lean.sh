#!/bin/sh
# lean.sh ROOT: takes out of a Debian root file system what no service runs: packages by dpkg, so that scanners of its
# database find what is there and nothing else, and then files of packages that stay. Another Linux keeps its packages.
# What stays for people: sh, and Python. Any base may lack any of these.
set -eu
root=$1
packages='adduser apt bash bsdutils coreutils debconf debian-archive-keyring debianutils diffutils dpkg e2fsprogs
  findutils gpgv grep gzip hostname init-system-helpers libacl1 libapt-pkg6.0 libapt-pkg7.0 libattr1 libaudit-common
  libaudit1 libblkid1 libc-bin libcap-ng0 libcap2 libcom-err2 libdb5.3 libdb5.3t64 libext2fs2 libext2fs2t64
  libgcrypt20 libgmp10 libgnutls30 libgnutls30t64 libgpg-error0 libgssapi-krb5-2 libhogweed6 libhogweed6t64
  libidn2-0 libk5crypto3 libkeyutils1 libkrb5-3 libkrb5support0 liblz4-1 libmd0 libmount1 libncursesw6 libnettle8
  libnettle8t64 libnsl2 libp11-kit0 libpam-modules libpam-modules-bin libpam-runtime libpam0g libreadline8
  libreadline8t64 libseccomp2 libsemanage-common libsemanage2 libsepol2 libsmartcols1 libsqlite3-0 libss2
  libsystemd0 libtasn1-6 libtinfo6 libtirpc-common libtirpc3 libtirpc3t64 libudev1 libunistring2 libunistring5
  libxxhash0 login login.defs logsave mawk mount ncurses-base ncurses-bin openssl passwd perl-base readline-common
  sed sqv sysvinit-utils tar usr-is-merged util-linux util-linux-extra'

if [ -f "$root/var/lib/dpkg/status" ]; then
  # Their scripts would change what goes away with them, and ask for programs that are gone by then.
  rm -f "$root"/var/lib/dpkg/info/*.prerm "$root"/var/lib/dpkg/info/*.postrm
  installed=$(dpkg-query --admindir="$root/var/lib/dpkg" --show --showformat '${Package}\n')
  found=$(for package in $packages; do printf '%s\n' "$installed" | grep -x "$package" || true; done)
  # shellcheck disable=SC2086 # names without spaces
  said=$(test -z "$found" || dpkg --root="$root" --force-depends --force-remove-essential --force-remove-protected \
    --purge $found 2>&1) || { printf '%s\n' "$said" | tail -5 >&2; exit 1; }
fi
cd "$root"
rm -rf usr/share/man usr/share/info usr/share/locale usr/share/lintian usr/share/bash-completion usr/share/perl5 \
  usr/lib/*-linux-gnu/gconv usr/lib/*-linux-gnu/perl-base var/cache/* var/log/* var/lib/apt tmp/* root/.cache \
  var/lib/dpkg/*-old var/lib/dpkg/info/*.md5sums
# Licences stay.
find usr/share/doc ! -type d ! -name copyright -delete 2> /dev/null || true
for python in usr/lib/python3* usr/local/lib/python3*; do
  rm -rf "$python/ensurepip" "$python/idlelib" "$python/lib2to3" "$python/pydoc_data" "$python/test" "$python/tkinter" \
    "$python/turtledemo" "$python"/lib-dynload/*_test* "$python"/lib-dynload/_xx* \
    "$python/site-packages/pip" "$python"/site-packages/pip-*
  # Their libraries are gone, as far as they were packages; no service stores in files, and no person is asked by them.
  rm -f "$python"/lib-dynload/_curses* "$python"/lib-dynload/_dbm* "$python"/lib-dynload/_sqlite3* \
    "$python"/lib-dynload/nis.* "$python"/lib-dynload/readline.*
done
rm -f usr/local/bin/pip* usr/local/bin/idle* usr/local/bin/2to3* usr/local/bin/pydoc*

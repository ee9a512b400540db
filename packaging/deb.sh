#!/usr/bin/env bash
# Makes dist/tripost_VERSION_ARCH.deb of a binary: deb.sh BINARY VERSION DIRECTORY
# The mail in /var/lib/tripost is never part of it, nor removed with it.
set -euo pipefail
binary=$1 version=$2 dist=$3
here=$(cd "$(dirname "$0")" && pwd)
arch=$(dpkg --print-architecture)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 0755 "$root"
install -D -m 0755 "$binary" "$root/usr/bin/tripost"
install -D -m 0644 "$here/tripost.service" "$root/usr/lib/systemd/system/tripost.service"
install -D -m 0640 "$here/tripost.toml" "$root/etc/tripost/tripost.toml"
install -d -m 0755 "$root/usr/share/doc/tripost"
cp -R "$here"/../docs/. "$here"/../CHANGELOG.md "$root/usr/share/doc/tripost/"
chmod -R u=rwX,go=rX "$root/usr/share/doc/tripost"
install -d -m 0755 "$root/DEBIAN"
install -m 0755 "$here/postinst" "$here/prerm" "$root/DEBIAN/"
echo /etc/tripost/tripost.toml > "$root/DEBIAN/conffiles"
cat > "$root/DEBIAN/control" <<CONTROL
Package: tripost
Version: $version
Architecture: $arch
Section: mail
Priority: optional
Depends: adduser
Recommends: ca-certificates
Provides: imap-server, pop3-server
Maintainer: the tripost developers <postmaster@localhost>
Installed-Size: $(du -sk "$root" | cut -f1)
Description: mail server: SMTP, POP3 and IMAP over one store
 One process receives mail, keeps it durably, serves it over POP3 and IMAP and
 sends it on. Nothing else needs to be installed.
CONTROL
mkdir -p "$dist"
dpkg-deb -Zgzip --root-owner-group --build "$root" "$dist/tripost_${version}_${arch}.deb"

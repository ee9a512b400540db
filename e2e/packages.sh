#!/bin/sh
# Installs the programs that the tests talk to the server with, when it may
# (as root on Debian); else names what is missing, and those tests are skipped.
# With arguments: only the packages named.
set -u

if [ $# -gt 0 ]; then
	packages="$*"
else
	packages="curl swaks libnet-ssleay-perl python3 fetchmail mpop getmail6 isync mutt neomutt alpine offlineimap3 strace python3-dkim python3-nacl"
fi

# present PACKAGE: whether what the package brings is there
present() {
	case $1 in
	getmail6) command -v getmail ;;
	isync) command -v mbsync ;;
	offlineimap3) command -v offlineimap ;;
	libnet-ssleay-perl) perl -MNet::SSLeay -e 1 ;;
	python3-dkim) /usr/bin/python3 -c 'import dkim' ;;
	python3-nacl) /usr/bin/python3 -c 'import nacl' ;;
	*) command -v "$1" ;;
	esac >/dev/null 2>&1
}

missing=""
for p in $packages; do
	present "$p" || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing:$missing"
	log=$(mktemp)
	if (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing) >"$log" 2>&1; then
		rm -f "$log"
		exit 0
	fi
	tail -n 5 "$log"
	rm -f "$log"
fi
echo "not installed, what needs them is skipped:$missing"
exit 0

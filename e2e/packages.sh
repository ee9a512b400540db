#!/bin/sh
# Installs the programs that the tests talk to the server with, when it may
# (as root on Debian); else names what is missing, and those tests are skipped.
# With arguments: only the packages named.
set -u

if [ $# -gt 0 ]; then
	packages="$*"
else
	packages="curl swaks libnet-ssleay-perl python3 fetchmail mpop getmail6 isync mutt neomutt alpine offlineimap3 strace python3-dkim python3-nacl libopendkim11"
	# Postfix takes the place of any other mail system: not where there is one.
	[ -e /usr/sbin/sendmail ] || packages="$packages postfix"
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
	libopendkim11) /usr/bin/python3 -c 'import ctypes; ctypes.CDLL("libopendkim.so.11")' ;;
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
	if [ ! -e /usr/sbin/policy-rc.d ]; then # no service is to be started
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
		trap 'exit 1' INT TERM
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
		chmod 755 /usr/sbin/policy-rc.d
	fi
	case "$missing" in
	*postfix*) echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections ;;
	esac
	# What comes over the network is bounded: a mirror that hangs costs the tests of
	# these programs, not the run. Installing what is there is not interrupted.
	export DEBIAN_FRONTEND=noninteractive
	bounded="-o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 -o Acquire::Retries=2"
	install="install -y --no-install-recommends $missing"
	if (timeout 300 apt-get $bounded update && timeout 900 apt-get $bounded --download-only $install && apt-get $bounded $install) >"$log" 2>&1; then
		rm -f "$log"
		exit 0
	fi
	tail -n 5 "$log"
	rm -f "$log"
fi
echo "not installed, what needs them is skipped:$missing"
exit 0

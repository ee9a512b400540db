#!/bin/sh
# Installs the programs that the tests talk to the server with, when it may
# (as root on Debian); else names what is missing, and those tests are skipped.
# With arguments: only the packages named.
set -u

if [ $# -gt 0 ]; then
	packages="$*"
else
	packages="curl swaks python3 fetchmail mpop isync mutt strace"
fi

# program PACKAGE: the command that the package brings
program() {
	case $1 in
	isync) echo mbsync ;;
	*) echo "$1" ;;
	esac
}

missing=""
for p in $packages; do
	command -v "$(program "$p")" >/dev/null 2>&1 || missing="$missing $p"
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

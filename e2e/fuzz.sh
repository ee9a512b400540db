#!/bin/sh
# Runs every fuzz target of the project, one after the other.
set -eu
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for package in $(${GO:-go} list ./...); do
	dir=.${package#tripost}
	for target in $(grep -ho '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go 2>/dev/null | cut -d' ' -f2); do
		echo "== $package $target"
		if ! ${GO:-go} test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-1m}" "$package" >"$log" 2>&1; then
			cat "$log"
			# The end of the time while an input runs is told as a failure, with no input.
			grep -q '^ *context deadline exceeded$' "$log" && ! grep -q 'Failing input written' "$log" || exit 1
		else
			tail -n 3 "$log"
		fi
	done
done

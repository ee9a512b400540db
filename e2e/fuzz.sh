#!/bin/sh
# Runs every fuzz target of the project, one after the other.
set -eu
for package in $(${GO:-go} list ./...); do
	dir=.${package#tripost}
	for target in $(grep -ho '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go 2>/dev/null | cut -d' ' -f2); do
		echo "== $package $target"
		${GO:-go} test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-1m}" "$package"
	done
done

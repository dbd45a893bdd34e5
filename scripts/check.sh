#!/bin/sh
# What runs before a push: format, lints, tests, and the manual page.
# All of it runs even if one fails; the exit code says whether any did.
cd "$(dirname "$0")/.." || exit 1

failed=
check() {
    echo "== $*"
    "$@" || failed="$failed
  $*"
}

check cargo fmt --check
check cargo clippy --all-targets -- -D warnings
check cargo test
if command -v mandoc >/dev/null; then
    check mandoc -T lint -W warning man/*.[58]
else
    echo "== mandoc is not installed: the manual page is not checked" >&2
fi

if [ -n "$failed" ]; then
    echo "== failed:$failed" >&2
    exit 1
fi
echo "== all is well"

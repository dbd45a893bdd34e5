#!/usr/bin/env bash
# test-accounts.sh [remove]   makes the throw-away accounts that tests/accounts and test-clients.sh log in as.
#
# For a machine that can be thrown away too: everybody who has read this knows their passwords.
# Run again, it makes them anew; `remove` takes away what it made, and nothing else: its
# accounts bear the words "ferryd test account".
set -euo pipefail

mark='ferryd test account'
group=ferrygroup

exists() { getent passwd "$1" >/dev/null; }
is_ours() { [ "$(getent passwd "$1" | cut -d: -f5)" = "$mark" ]; }

# account NAME PASSWORD [useradd's options]
account() {
    local name=$1 password=$2
    shift 2
    remove "$name"
    useradd --comment "$mark" --create-home --shell /bin/sh --no-log-init "$@" "$name" 2>&1 |
        { grep -v 'non-executable shell' >&2 || true; }
    chmod 755 "$(getent passwd "$name" | cut -d: -f6)"
    printf '%s:%s\n' "$name" "$password" | chpasswd
}

remove() {
    local name=$1
    exists "$name" || return 0
    if ! is_ours "$name"; then
        echo "test-accounts.sh: the account $name is not one of ours" >&2
        exit 1
    fi
    # userdel complains of a mail spool that never was, and says so in its exit code.
    userdel --force --remove "$name" 2>/dev/null || true
    if exists "$name"; then
        echo "test-accounts.sh: cannot remove $name" >&2
        exit 1
    fi
}

if [ "$(id -u)" -ne 0 ]; then
    echo "test-accounts.sh: only root can make accounts" >&2
    exit 1
fi

case ${1:-} in
'')
    getent group "$group" >/dev/null || groupadd "$group"
    account ferrytest1 ferrytest1-Secret --groups "$group"
    account ferrytest2 ferrytest2-Secret
    account ferryodd 'two words, "quotes" & :colons: -\ ä'
    # Names that name services have, and useradd would not give.
    account "ferry o'neil" "ferry o'neil-Secret" --badname
    account 'FERRY\first' 'FERRY\first-Secret' --badname
    account ferrynoshell ferrynoshell-Secret --shell /no/such/shell
    account ferrydenied ferrydenied-Secret
    account ferrylocked ferrylocked-Secret
    usermod --lock ferrylocked
    account ferryexpired ferryexpired-Secret --expiredate 2001-01-01
    account ferrystale ferrystale-Secret
    chage --lastday 0 ferrystale
    account ferrysystem ferrysystem-Secret --system
    ;;
remove)
    for name in ferrytest1 ferrytest2 ferryodd "ferry o'neil" 'FERRY\first' ferrynoshell ferrydenied ferrylocked ferryexpired ferrystale ferrysystem; do
        remove "$name"
    done
    if getent group "$group" >/dev/null; then groupdel "$group"; fi
    ;;
*)
    echo "usage: test-accounts.sh [remove]" >&2
    exit 2
    ;;
esac

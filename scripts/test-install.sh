#!/bin/sh
# Tests what scripts/install brings: scripts/test-install.sh [BINARY]
#
# Everything into a directory of its own and out again; the units by systemd-analyze, the
# plist, the completions; and, as root on Debian, a package, installed and removed again.
set -eu
cd "$(dirname "$0")/.."

binary=${1:-${CARGO_TARGET_DIR:-target}/release/ferryd}
work=$(mktemp -d "${TMPDIR:-/tmp}/ferryd-install.XXXXXX")
installed=
# What was installed here goes again, whatever went wrong.
trap 'rm -rf "$work"; [ -z "$installed" ] || dpkg --purge ferryd' EXIT
root=$work/root

fail() { echo "test-install: $*" >&2; exit 1; }
skip() { echo "test-install: not tested: there is no $1" >&2; }
has() { command -v "$1" >/dev/null || { skip "$1"; return 1; }; }
files() { (cd "$1" && find . ! -type d | sort); }

echo "== into a directory and out again"
for pam in debian redhat alpine macos none; do
    DESTDIR=$root PREFIX=/opt/ferryd scripts/install --binary="$binary" --pam=$pam --ftpd-link
    "$root/opt/ferryd/sbin/ftpd" --version | grep -q '^ferryd ' || fail "the link does not work"
    grep -q '^ExecStart=/opt/ferryd/sbin/ferryd ' "$root/opt/ferryd/lib/systemd/system/ferryd.service" ||
        fail "the unit starts another program"
    files "$root" >"$work/once"
    DESTDIR=$root PREFIX=/opt/ferryd scripts/install --binary="$binary" --pam=$pam --ftpd-link
    files "$root" >"$work/twice"
    diff "$work/once" "$work/twice" || fail "twice is not once"
    DESTDIR=$root PREFIX=/opt/ferryd scripts/uninstall
    [ -z "$(files "$root")" ] || fail "left behind: $(files "$root")"
done

echo "== what the administrator wrote or changed stays"
mkdir -p "$root/etc/pam.d" "$root/opt/ferryd/sbin"
echo mine >"$root/etc/pam.d/ftpd"
echo theirs >"$root/opt/ferryd/sbin/in.ftpd"
DESTDIR=$root PREFIX=/opt/ferryd scripts/install --binary="$binary" --pam=debian --ftpd-link
echo '# changed' >>"$root/etc/logrotate.d/ferryd"
DESTDIR=$root PREFIX=/opt/ferryd scripts/install --binary="$binary" --pam=debian
DESTDIR=$root PREFIX=/opt/ferryd scripts/uninstall
[ "$(cat "$root/etc/pam.d/ftpd")" = mine ] || fail "the PAM service was replaced"
[ "$(cat "$root/opt/ferryd/sbin/in.ftpd")" = theirs ] || fail "another ftpd was replaced"
tail -n 1 "$root/etc/logrotate.d/ferryd" | grep -q changed || fail "a changed file was replaced"
[ "$(files "$root" | wc -l)" -eq 3 ] || fail "left behind: $(files "$root")"
rm -rf "$root"
! DESTDIR=$root scripts/uninstall 2>/dev/null || fail "uninstalled what was not there"
! DESTDIR=$root scripts/install --frob 2>/dev/null || fail "took --frob"

echo "== the units"
DESTDIR=$root PREFIX=/usr scripts/install --binary="$binary" --pam=debian
! grep -v '^#' "$root/etc/default/ferryd" | grep . || fail "the file of options sets one"
# Each of its examples is understood; what it names need not be there.
sed -n 's/^#FERRYD_OPTIONS="\(.*\)"$/\1/p' "$root/etc/default/ferryd" | while read -r options; do
    code=0
    # shellcheck disable=SC2086 # As systemd divides them.
    "$binary" -F $options --test-config >"$work/options-test" 2>&1 || code=$?
    [ $code -ne 2 ] || { cat "$work/options-test"; fail "not understood: $options"; }
done
grep -q '^RestartPreventExitStatus=2$' "$root/usr/lib/systemd/system/ferryd.service" ||
    fail "systemd tries wrong options again and again"
if has systemd-analyze; then
    # ExecStart names a program that need not be installed here.
    for unit in ferryd.socket ferryd-ftps.socket ferryd.service ferryd@.service; do
        sed "s|/usr/sbin/ferryd|$root/usr/sbin/ferryd|" "$root/usr/lib/systemd/system/$unit" >"$work/$unit"
    done
    SYSTEMD_UNIT_PATH=$work: systemd-analyze verify --man=no "$work/ferryd.socket" "$work/ferryd-ftps.socket" "$work/ferryd.service" \
        "$work/ferryd@one.service" 2>"$work/verify" || true
    ! grep -F ferryd "$work/verify" || fail "systemd-analyze verify"
    for unit in ferryd.service ferryd@.service; do
        # A server that becomes any user is not among the safest; 10 is the worst.
        systemd-analyze security --offline=yes --threshold=45 "$work/$unit" >"$work/security" ||
            { cat "$work/security"; fail "systemd-analyze security $unit"; }
        tail -n 1 "$work/security"
    done
fi
if has python3; then
    python3 -c 'import plistlib, sys; plistlib.load(open(sys.argv[1], "rb"))["inetdCompatibility"]["Wait"]' \
        scripts/launchd/ferryd.plist
fi

echo "== the completions"
PATH=$root/usr/sbin:$PATH
export PATH
ferryd --help | grep -oE '(^ +|, )--?[^][ ,=]+|-., ' | tr -d ' ,' | sort -u >"$work/options"
if has bash; then
    bash -c '. scripts/completions/ferryd.bash; COMP_WORDS=(ferryd -); COMP_CWORD=1; _ferryd
        printf "%s\n" "${COMPREPLY[@]}"' | sort -u >"$work/bash"
    diff "$work/options" "$work/bash" || fail "bash completes other options"
    found=$(bash -c '. scripts/completions/ferryd.bash; COMP_WORDS=(ferryd --auth = s); COMP_CWORD=3; _ferryd
        printf "%s\n" "${COMPREPLY[@]}"')
    [ "$found" = shadow ] || fail "bash completes --auth=s by $found"
fi
if has zsh; then
    zsh -fc '_arguments() { shift; print -rl -- "$@" }; . scripts/completions/_ferryd' >"$work/specs"
    sed -n 's/^\*\(-[^=+[]*\).*/\1/p' "$work/specs" | sort -u >"$work/zsh"
    diff "$work/options" "$work/zsh" || fail "zsh completes other options"
    grep -qF -- '*--auth=[how passwords are checked (pam)]:value:(pam shadow)' "$work/specs" ||
        fail "zsh does not know what --auth takes"
fi

if has fail2ban-regex; then
    echo "== fail2ban's filter"
    # The filter reads fail2ban's common.conf, which stands next to it once it is installed.
    mkdir "$work/filter.d"
    cp /etc/fail2ban/filter.d/common.conf scripts/fail2ban/ferryd.conf "$work/filter.d"
    while IFS='|' read -r count line; do
        fail2ban-regex "$line" "$work/filter.d/ferryd.conf" >"$work/fail2ban"
        grep -q "Lines: 1 lines, 0 ignored, $count matched" "$work/fail2ban" || { cat "$work/fail2ban"; fail "$line"; }
    done <<'END'
1|Nov 21 10:42:31 host ftpd[17]: FTP LOGIN FAILED FROM 192.0.2.7, joe (wrong password)
1|Nov 21 10:42:31 host ftpd[17]: warning: FTP LOGIN FAILED FROM 2001:db8::7, a\x20b (no such account)
0|Nov 21 10:42:31 host ftpd[17]: FTP LOGIN FROM 192.0.2.7 as joe
0|Nov 21 10:42:31 host ftpd[17]: put /FTP LOGIN FAILED FROM 192.0.2.7, joe (x) = 1 bytes (wd: /)
END
fi

if [ "$(id -u)" -eq 0 ] && has dpkg-deb; then
    echo "== a Debian package"
    ! dpkg-query -W ferryd 2>/dev/null || fail "ferryd is installed here already"
    account=$(id -u ferryd 2>/dev/null || true)
    package=$(scripts/build-deb --binary="$binary" "$work/deb")
    dpkg-deb --info "$package" | grep -q 'Package: ferryd'
    if command -v lintian >/dev/null; then lintian --tag-display-limit 0 "$package" || true; fi
    installed=yes
    # A file that an earlier run left behind is no reason to ask.
    dpkg --force-confnew --install "$package" </dev/null
    /usr/sbin/ferryd --version
    /usr/sbin/ferryd --test-config -D || true # It may miss an account or a port here.
    id ferryd >/dev/null || fail "there is no account"
    dpkg --verify ferryd
    dpkg --purge ferryd
    installed=
    for left in /usr/sbin/ferryd /lib/systemd/system/ferryd.service /etc/logrotate.d/ferryd \
        /usr/share/man/man8/ferryd.8.gz; do
        [ ! -e "$left" ] || fail "left behind: $left"
    done
    # The tests of accounts may have made it before, and want it back.
    if [ -n "$account" ] && ! id ferryd >/dev/null 2>&1; then
        useradd --system --no-create-home --shell /usr/sbin/nologin ferryd
    fi
fi
echo "== all is well"

#!/usr/bin/env bash
# test-clients.sh [FERRYD]   lets real clients use a ferryd: lftp, curl, wget, Python's ftplib.
#
# Needs root, the accounts of test-accounts.sh, and those programs. FERRYD is the program to
# test, target/release/ferryd by default. Prints a line for each check; fails when one failed.
set -euo pipefail

ferryd=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/release/ferryd}")
account1=ferrytest1 account2=ferrytest2
work=$(mktemp -d /tmp/ferryd-clients.XXXXXX)
chmod 755 "$work"
server=

cleanup() {
    if [ -n "$server" ]; then kill -KILL "$server" 2>/dev/null || true; fi
    for account in $account1 $account2; do
        rm -rf "$(home "$account")/clients-test" "$(home "$account")/tls-test"
    done
    rm -rf "$work"
}
home() { getent passwd "$1" | cut -d: -f6; }
trap cleanup EXIT

passed=0 failed=0
# check NAME COMMAND...   runs it; its output is shown when it fails.
check() {
    local name=$1
    shift
    if ("$@") >"$work/output" 2>&1 </dev/null; then
        echo "PASS $name"
        passed=$((passed + 1))
    else
        echo "FAIL $name"
        sed 's/^/    /' "$work/output" | tail -n 30
        failed=$((failed + 1))
    fi
}

# --- What is transferred: a real tree where there is one, and names that are not easy.

make_tree() {
    local tree=$1 from
    mkdir -p "$tree"
    for from in /usr/share/doc /usr/include /usr/share /usr/lib; do
        [ -d "$from" ] || continue
        (cd "$from" && find . -type f -size -256k -print0 2>/dev/null | sort -z | head -z -n 3000 |
            tar -c --null -T - 2>/dev/null) | tar -x -C "$tree" --no-same-owner || true
        [ "$(find "$tree" -type f | wc -l)" -lt 1000 ] || break
    done
    mkdir "$tree/two words" "$tree/empty folder" "$tree/ümläut" "$tree/.hidden" "$tree/deep"
    : >"$tree/empty"
    printf 'one\ntwo\n\nfour without end' >"$tree/two words/a text"
    printf 'x' >"$tree/ümläut/日本語"
    printf 'x' >"$tree/two words/  leading and trailing  "
    printf 'x' >"$tree/two words/\"quoted\" 'twice' [x] {a,b} *?"
    printf 'x' >"$tree/.hidden/.file"
    head -c 5000000 /dev/urandom >"$tree/big"
    head -c 70000 /dev/zero >"$tree/zeros"
    mkdir -p "$tree/deep/$(printf 'd/%.0s' {1..60})"
    chmod -R u+rwX,go+rX,go-w "$tree"
    # Seconds that no clock has by chance, half a year old and older.
    find "$tree" -type f -print0 | xargs -0 touch -d '2019-03-10 02:30:17 UTC'
    touch -d '2001-09-09 01:46:40 UTC' "$tree/big"
    touch -d '2000-02-29 12:00:01 UTC' "$tree/empty"
}

# Names, sizes and seconds of all files.
times() { (cd "$1" && find . -type f -printf '%P %s %Ts\n' | LC_ALL=C sort); }

same_files() { diff -r "$1" "$2"; }
same_times() { diff <(times "$1") <(times "$2"); }
owned_by() { [ -z "$(find "$2" ! -user "$1" -print -quit)" ] && [ -z "$(find "$2" ! -group "$(id -gn "$1")" -print -quit)" ]; }
modes() { [ -z "$(find "$1" -type f ! -perm 640 -print -quit)" ] && [ -z "$(find "$1" -mindepth 1 -type d ! -perm 750 -print -quit)" ]; }

make_tree "$work/tree"
echo "the tree has $(find "$work/tree" -type f | wc -l) files in $(find "$work/tree" -type d | wc -l) folders"
mkdir "$work/etc" "$work/anonymous" "$work/anonymous/incoming" "$work/got"
cp -a "$work/tree" "$work/anonymous/tree"
chmod 777 "$work/anonymous/incoming"
# For wget, which makes file names of its own out of some.
mkdir "$work/anonymous/plain"
(cd "$work/tree" && find . -type f -regex '[-A-Za-z0-9./_]*' -print0 >"$work/names" &&
    head -z -n 500 "$work/names" | tar -c --null -T -) | tar -x -C "$work/anonymous/plain"
for account in $account1 $account2; do
    rm -rf "$(home "$account")/clients-test"
done

# --- The server, on a port below those that the system gives to outgoing connections: the one
# before it is the source of active data connections.

addresses=(-a 127.0.0.1)
# The loopback address of IPv6, as the kernel prints it.
if grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null; then addresses+=(-a ::1); fi

start() { # PORT OPTIONS...
    local candidate=$1
    shift
    "$ferryd" -F -P "$candidate" "${addresses[@]}" -c "$work/etc" -u 027 -W -l -l -L "$work/xferlog" -m --max-clients 100 \
        --anonymous-root "$work/anonymous" --anonymous-user nobody "$@" >"$work/stdout" 2>"$work/log" &
    server=$!
    for _ in $(seq 200); do
        [ "$(grep -c 'listening on' "$work/stdout")" -lt $((${#addresses[@]} / 2)) ] || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    return 1
}
port=
for candidate in 21212 22212 23212 24212 25212; do
    if start $candidate; then
        port=$candidate
        break
    fi
done
if [ -z "$port" ]; then
    echo "the server does not listen:"
    cat "$work/stdout" "$work/log"
    exit 1
fi
port6=$(sed -n 's/.*listening on \[::1\]:\([0-9]*\).*/\1/p' "$work/stdout")

# --- lftp: two accounts and an anonymous client at the same time, both ways.

lftp_as() { # USER COMMANDS
    local user=$1
    shift
    lftp -p "$port" -u "$user,$user-Secret" 127.0.0.1 -e "
        set net:max-retries 2; set net:timeout 30; set net:reconnect-interval-base 1; set ftp:ssl-allow no
        set cmd:fail-exit yes; set ftp:use-mlsd yes; set ftp:list-options -a; $*; exit"
}
there_and_back() {
    lftp_as "$1" "mirror -R --no-perms --parallel=2 $work/tree clients-test; mirror --no-perms --parallel=2 clients-test $work/got/$1"
}
anonymous_mirror() {
    lftp_as anonymous "mirror --no-perms --parallel=2 /tree $work/got/anonymous; mirror -R --no-perms $work/tree/deep /incoming/deep"
}

there_and_back $account1 >"$work/lftp1" 2>&1 </dev/null &
job1=$!
there_and_back $account2 >"$work/lftp2" 2>&1 </dev/null &
job2=$!
anonymous_mirror >"$work/lftp3" 2>&1 </dev/null &
job3=$!
for who in "$account1 $job1 lftp1" "$account2 $job2 lftp2" "anonymous $job3 lftp3"; do
    read -r name job output <<<"$who"
    if wait "$job"; then code=0; else code=$?; fi
    check "lftp mirrors as $name" bash -c "cat '$work/$output'; exit $code"
done
for account in $account1 $account2; do
    stored=$(home "$account")/clients-test
    check "lftp mirror -R of $account is byte-identical" same_files "$work/tree" "$stored"
    check "lftp mirror -R of $account keeps the times" same_times "$work/tree" "$stored"
    check "lftp mirror of $account is byte-identical" same_files "$work/tree" "$work/got/$account"
    check "lftp mirror of $account keeps the times" same_times "$work/tree" "$work/got/$account"
    check "what $account stored is its own" owned_by "$account" "$stored"
    check "what $account stored has the umask applied" modes "$stored"
done
check "lftp mirror of anonymous is byte-identical" same_files "$work/tree" "$work/got/anonymous"
check "lftp mirror of anonymous keeps the times" same_times "$work/tree" "$work/got/anonymous"
check "lftp mirror -R of anonymous is byte-identical" same_files "$work/tree/deep" "$work/anonymous/incoming/deep"
check "lftp mirrors in active mode" lftp_as $account1 \
    "set ftp:passive-mode no; mirror --no-perms clients-test/deep $work/got/active"
check "lftp mirror finds nothing to do the second time" bash -c "
    [ -z \"\$(lftp -p $port -u $account1,$account1-Secret 127.0.0.1 -e '
        set ftp:ssl-allow no; set ftp:use-mlsd yes; set ftp:list-options -a
        mirror --no-perms --dry-run clients-test $work/got/$account1; exit')\" ]"
chmod 600 "$(home $account1)/clients-test/zeros"
no_access() { ! lftp_as $account2 "cd $(home $account1)/clients-test; get zeros -o $work/got/stolen" || ! [ -e "$work/got/stolen" ]; }
check "an account does not get the other's private file" no_access
check "lftp removes a tree" lftp_as $account2 "rm -r clients-test/deep"
check "the tree is gone" test ! -e "$(home $account2)/clients-test/deep"

# --- curl: both ways, whole and in part, over all kinds of data connections.

ftp4=ftp://127.0.0.1:$port
ftp6="ftp://[::1]:$port6"
me=(--user "$account1:$account1-Secret")
fetch() { curl -sS --fail --globoff --max-time 60 "${me[@]}" "$@"; }
fetch_to() { # FILE ARGUMENTS...; compares with the tree's file of that name
    local file=$1
    shift
    rm -f "$work/got/curl"
    fetch -o "$work/got/curl" "$@" && cmp "$work/got/curl" "$work/tree/$file"
}
check "curl downloads" fetch_to big "$ftp4/clients-test/big"
check "curl downloads with EPSV off" fetch_to big --disable-epsv "$ftp4/clients-test/big"
check "curl downloads in active mode" fetch_to big -P - "$ftp4/clients-test/big"
check "curl downloads in active mode with PORT" fetch_to big -P - --disable-eprt "$ftp4/clients-test/big"
for method in multicwd nocwd singlecwd; do
    check "curl downloads by $method" fetch_to "two words/a text" --ftp-method $method "$ftp4/clients-test/two%20words/a%20text"
done
check "curl downloads what is named in Japanese" fetch_to "ümläut/日本語" "$ftp4/clients-test/%C3%BCml%C3%A4ut/%E6%97%A5%E6%9C%AC%E8%AA%9E"
check "curl downloads an empty file" fetch_to empty "$ftp4/clients-test/empty"
if [ -n "$port6" ]; then
    check "curl downloads over IPv6" fetch_to big "$ftp6/clients-test/big"
    check "curl downloads over IPv6 in active mode" fetch_to big -P - "$ftp6/clients-test/big"
else
    echo "no IPv6 here: curl over IPv6 is left out"
fi
resume_download() {
    head -c 1234567 "$work/tree/big" >"$work/got/part"
    fetch -C - -o "$work/got/part" "$ftp4/clients-test/big" && cmp "$work/got/part" "$work/tree/big"
}
check "curl resumes a download" resume_download
range() { fetch -r 1000-1999 -o "$work/got/range" "$ftp4/clients-test/big" && cmp "$work/got/range" <(tail -c +1001 "$work/tree/big" | head -c 1000); }
check "curl downloads a range" range
stored() { fetch -T "$work/tree/big" --ftp-create-dirs "$@" "$ftp4/clients-test/new/sub/big" && cmp "$work/tree/big" "$(home $account1)/clients-test/new/sub/big"; }
check "curl uploads, making folders" stored
check "curl uploads in active mode" stored -P -
resume_upload() {
    local target
    target=$(home $account1)/clients-test/resumed
    head -c 2345678 "$work/tree/big" >"$target"
    chown "$account1:" "$target"
    fetch -C - -T "$work/tree/big" "$ftp4/clients-test/resumed" && cmp "$work/tree/big" "$target"
}
check "curl resumes an upload" resume_upload
append() {
    local target
    target=$(home $account1)/clients-test/appended
    printf 'one' | fetch -T - "$ftp4/clients-test/appended" && printf 'two' | fetch -a -T - "$ftp4/clients-test/appended" &&
        [ "$(cat "$target")" = onetwo ]
}
check "curl appends" append
# curl makes the line ends this system's again.
ascii() { fetch_to "two words/a text" "$ftp4/clients-test/two%20words/a%20text;type=A"; }
check "curl downloads text" ascii
remote_time() { fetch -R -o "$work/got/time" "$ftp4/clients-test/big" && [ "$(stat -c %Y "$work/got/time")" = 1000000000 ]; }
check "curl keeps the time" remote_time
list_names() { diff <(fetch -l "$ftp4/clients-test/" | tr -d '\r' | LC_ALL=C sort) <(cd "$(home $account1)/clients-test" && find . -mindepth 1 -maxdepth 1 -printf '%P\n' | LC_ALL=C sort); }
check "curl lists names" list_names
check "curl lists a folder" bash -c "curl -sS --user $account1:$account1-Secret $ftp4/clients-test/ | grep -q ' big\$'"
check "curl renames and deletes" fetch -o /dev/null -Q "RNFR clients-test/appended" -Q "RNTO clients-test/renamed" -Q "DELE clients-test/renamed" "$ftp4/clients-test/empty"
me=(--user "$account1:wrong")
login_denied() { local code=0; fetch -o /dev/null "$ftp4/clients-test/big" || code=$?; [ "$code" = 67 ]; }
check "curl is denied the login with a wrong password" login_denied
me=()
check "curl downloads as anonymous" fetch_to big "$ftp4/tree/big"

# --- wget and Python's ftplib.

wget_all() {
    rm -rf "$work/got/wget"
    (cd "$work/got" && wget -q -r -nH -P wget "$@" "$ftp4/plain/") && diff -r "$work/anonymous/plain" "$work/got/wget/plain"
}
check "wget -r downloads a tree" wget_all
check "wget -r downloads a tree in active mode" wget_all --no-passive-ftp
check "wget continues a download" bash -c "
    cd '$work/got' && head -c 1000000 '$work/tree/big' >big && wget -q -c '$ftp4/tree/big' && cmp big '$work/tree/big'"

python_ftplib() {
    python3 - "$work" "$port" "${port6:-0}" "$account1" <<'PYTHON'
import ftplib, io, os, sys
work, port4, port6, account = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
tree = os.path.join(work, 'tree')
big = open(os.path.join(tree, 'big'), 'rb').read()

def session(host, port, passive):
    ftp = ftplib.FTP(timeout=30, encoding='utf-8')
    ftp.connect(host, port)
    ftp.login(account, account + '-Secret')
    ftp.set_pasv(passive)
    ftp.cwd('clients-test')
    assert ftp.pwd().endswith('/clients-test')

    out = io.BytesIO()
    ftp.retrbinary('RETR big', out.write)
    assert out.getvalue() == big
    out = io.BytesIO()
    ftp.retrbinary('RETR big', out.write, rest=4_000_000)
    assert out.getvalue() == big[4_000_000:]
    assert ftp.size('big') == len(big)

    ftp.storbinary('STOR python', io.BytesIO(big[:100_000]))
    ftp.storbinary('STOR python', io.BytesIO(big[100_000:200_000]), rest=100_000)
    ftp.storbinary('APPE python', io.BytesIO(big[200_000:250_000]))
    out = io.BytesIO()
    ftp.retrbinary('RETR python', out.write)
    assert out.getvalue() == big[:250_000]

    ftp.storlines('STOR lines', io.BytesIO(b'one\ntwo\r\nthree'))
    lines = []
    ftp.retrlines('RETR lines', lines.append)
    assert lines == ['one', 'two', 'three'], lines

    facts = dict(ftp.mlsd(facts=['type', 'size', 'modify', 'perm']))
    assert facts['big']['type'] == 'file' and int(facts['big']['size']) == len(big)
    assert facts['big']['modify'].startswith('20010909014640'), facts['big']
    assert facts['two words']['type'] == 'dir' and facts['ümläut']['type'] == 'dir'
    assert ftp.sendcmd('MDTM big').startswith('213 20010909014640')
    assert 'big' in ftp.nlst() and 'two words/a text' in ftp.nlst('two words')
    listed = []
    ftp.dir(listed.append)
    assert any(line.endswith(' big') for line in listed)

    made = ftp.mkd('say "hi"')
    assert made.endswith('/say "hi"'), made
    ftp.rename('say "hi"', 'said')
    ftp.rmd('said')
    for name in ['python', 'lines']:
        ftp.delete(name)
    try:
        ftp.retrbinary('RETR none', out.write)
    except ftplib.error_perm as error:
        assert str(error).startswith('550'), error
    else:
        raise AssertionError('a file that is not there')
    connection = ftp.transfercmd('RETR big')
    connection.recv(1000)
    try:
        ftp.abort()
    except ftplib.all_errors as error:
        print('abort:', error)
    connection.close()
    ftp.close()

session('127.0.0.1', port4, True)
session('127.0.0.1', port4, False)
if port6:
    session('::1', port6, True)
    session('::1', port6, False)
PYTHON
}
check "Python's ftplib does its work" python_ftplib

# --- What the server has to say.

check "the transfer log has a record of the download of big" grep -q 'clients-test/big b _ o r ferrytest1 ftp 0 \* c' "$work/xferlog"
check "the server logged no panic" bash -c "! grep -i panic '$work/log'"
kill -TERM "$server"
ended() { for _ in $(seq 200); do kill -0 "$server" 2>/dev/null || return 0; sleep 0.05; done; return 1; }
check "the server ends when it is told to" ended
code=0
wait "$server" || code=$?
server=
check "its exit code is zero" test $code = 0

# --- The same under TLS, which accounts need now; with a part of the tree, for a handshake comes before each file.

small=$work/small
mkdir "$small"
cp -a "$work/tree/two words" "$work/tree/empty folder" "$work/tree/ümläut" "$work/tree/.hidden" "$work/tree/deep" \
    "$work/tree/empty" "$work/tree/big" "$work/tree/zeros" "$small"

make_certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key.pem" -out "$work/certificate.pem" -days 2 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1
    chmod 600 "$work/key.pem"
}
check "openssl makes a certificate" make_certificate
tls_port=$((port + 100))
start "$port" --tls=require --tls-port="$tls_port" --tls-cert="$work/certificate.pem" --tls-key="$work/key.pem"

lftp_tls() { # URL COMMANDS
    local url=$1
    shift
    lftp -u "$account1,$account1-Secret" "$url" -e "
        set net:max-retries 2; set net:timeout 30; set net:reconnect-interval-base 1
        set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:ca-file $work/certificate.pem
        set cmd:fail-exit yes; set ftp:use-mlsd yes; set ftp:list-options -a; $*; exit"
}
for url in "ftp://localhost:$port" "ftps://localhost:$tls_port"; do
    for passive in yes no; do
        rm -rf "$work/got/tls" "$(home $account1)/tls-test"
        check "lftp mirrors -R to ${url%%:*} with TLS, passive: $passive" lftp_tls "$url" \
            "set ftp:passive-mode $passive; mirror -R --no-perms --parallel=2 $small tls-test"
        check "what it stored is byte-identical" same_files "$small" "$(home $account1)/tls-test"
        check "lftp mirrors from ${url%%:*} with TLS, passive: $passive" lftp_tls "$url" \
            "set ftp:passive-mode $passive; mirror --no-perms --parallel=2 tls-test $work/got/tls"
        check "what it got is byte-identical" same_files "$small" "$work/got/tls"
    done
done

me=(--user "$account1:$account1-Secret" --cacert "$work/certificate.pem" --ssl-reqd)
for version in 1.2 1.3; do
    for url in "ftp://localhost:$port" "ftps://localhost:$tls_port"; do
        only=("--tlsv$version" --tls-max "$version")
        check "curl downloads from ${url%%:*} under TLS $version" fetch_to big "${only[@]}" "$url/tls-test/big"
        curl_stores() { fetch "${only[@]}" -T "$work/tree/big" "$url/tls-test/from-curl" && cmp "$work/tree/big" "$(home $account1)/tls-test/from-curl"; }
        check "curl uploads to ${url%%:*} under TLS $version" curl_stores
        curl_resumes() {
            head -c 1234567 "$work/tree/big" >"$work/got/part"
            fetch "${only[@]}" -C - -o "$work/got/part" "$url/tls-test/big" && cmp "$work/got/part" "$work/tree/big" &&
                truncate -s 2345678 "$(home $account1)/tls-test/from-curl" &&
                fetch "${only[@]}" -C - -T "$work/tree/big" "$url/tls-test/from-curl" &&
                cmp "$work/tree/big" "$(home $account1)/tls-test/from-curl"
        }
        check "curl resumes both at ${url%%:*} under TLS $version" curl_resumes
        check "curl lists a folder of ${url%%:*} under TLS $version" bash -c "
            curl -sS --max-time 60 ${me[*]} ${only[*]} $url/tls-test/ | grep -q ' big\$'"
    done
done
me=(--user "$account1:$account1-Secret")
refused_in_the_clear() { local code=0; fetch -o /dev/null "ftp://localhost:$port/tls-test/big" || code=$?; [ "$code" = 67 ]; }
check "curl is denied the login without TLS" refused_in_the_clear

python_tls() {
    python3 - "$work" "$port" "$account1" <<'PYTHON'
import ftplib, io, os, ssl, sys
work, port, account = sys.argv[1], int(sys.argv[2]), sys.argv[3]
big = open(os.path.join(work, 'tree', 'big'), 'rb').read()

class FTP(ftplib.FTP_TLS):
    "As ftplib's, which by itself begins a session anew for each data connection."
    resume = True
    def ntransfercmd(self, cmd, rest=None):
        data, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        session = self.sock.session if self.resume else None
        return self.context.wrap_socket(data, server_hostname=self.host, session=session), size

for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    for passive in (True, False):
        context = ssl.create_default_context(cafile=os.path.join(work, 'certificate.pem'))
        context.minimum_version = context.maximum_version = version
        ftp = FTP(context=context, timeout=30, encoding='utf-8')
        ftp.connect('localhost', port)
        ftp.login(account, account + '-Secret')
        ftp.prot_p()
        ftp.set_pasv(passive)
        ftp.cwd('tls-test')
        for count in (0, 1, 100_000, len(big)):
            ftp.storbinary('STOR python', io.BytesIO(big[:count]))
            out = io.BytesIO()
            ftp.retrbinary('RETR python', out.write)
            assert out.getvalue() == big[:count], count
        assert 'big' in ftp.nlst()
        ftp.resume = False
        try:
            ftp.nlst()
        except (ftplib.error_perm, ssl.SSLError, OSError) as error:
            print('without the session:', error)
            if not isinstance(error, ftplib.error_perm):
                try:
                    ftp.voidresp()
                    raise AssertionError('no refusal')
                except ftplib.error_perm as error:
                    assert str(error).startswith('522'), error
        else:
            raise AssertionError('a data connection of another session')
        ftp.resume = True
        ftp.delete('python')
        ftp.quit()
PYTHON
}
check "Python's FTP_TLS does its work, and is refused without the session" python_tls

s_client() { openssl s_client -connect "localhost:$tls_port" -CAfile "$work/certificate.pem" -verify_return_error "$@" </dev/null; }
check "openssl finds the certificate valid" s_client
check "openssl finds it valid after AUTH TLS" s_client -connect "localhost:$port" -starttls ftp
for old in -tls1 -tls1_1; do
    check "openssl does not get TLS ${old#-} " bash -c "! openssl s_client -connect localhost:$tls_port $old -cipher ALL:@SECLEVEL=0 </dev/null"
done
check "the server logged no panic under TLS" bash -c "! grep -i panic '$work/log'"
kill -TERM "$server"
check "the server ends when it is told to, under TLS too" ended
wait "$server" || true
server=

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

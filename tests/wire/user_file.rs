//! --user-file: accounts that the operating system does not know.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};

use crate::client::Client;
use crate::server::{ANONYMOUS_USER, Folder, Server, is_root};

/// What `openssl passwd -6` makes of `user-file-Secret`.
const HASH: &str =
    "$6$ferrydtest$9kCUt7wFpYPyk9S4rpMeFNWARLvuZnG2NYW9TW7E8s6R4qx85BHUUUPlpUbO6mxH4Xmj.ByGL2zdh57DcfGHX0";
pub(crate) const PASSWORD: &str = "user-file-Secret";

/// A server whose file has these lines, less the account that root needs.
fn start(folder: &Folder, lines: &[String]) -> Server {
    start_with(folder, lines, &[])
}

/// A server with accounts of these names, each with a home and `PASSWORD`.
#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "tests of TLS use it"))]
pub(crate) fn start_with_accounts(folder: &Folder, names: &[&str], options: &[String]) -> Server {
    let lines: Vec<_> = names.iter().map(|name| format!("{name}:{HASH}:{}", home(folder, name))).collect();
    start_with(folder, &lines, options)
}

fn start_with(folder: &Folder, lines: &[String], options: &[String]) -> Server {
    let as_account = if is_root() { format!(":{ANONYMOUS_USER}") } else { String::new() };
    let text: String = lines.iter().map(|line| format!("{line}{as_account}\n")).collect();
    folder.write("users", text);
    set_mode(folder, 0o600);
    if is_root() {
        chown(folder.path("users"), Some(0), Some(0)).expect("root may");
    }
    let users = folder.path("users");
    let users = users.to_str().expect("a plain path");
    let mut words = vec!["-F", "-P", "0", "-a", "127.0.0.1", "--login-delay", "0", "--user-file", users];
    words.extend(options.iter().map(String::as_str));
    Server::start_raw(&words)
}

/// `home` with a file in it, that belongs to whom the sessions become.
fn home(folder: &Folder, name: &str) -> String {
    let path = folder.path(name);
    std::fs::create_dir(&path).expect("our own folder");
    folder.write(format!("{name}/file"), name);
    if is_root() {
        let user = users::get_user_by_name(ANONYMOUS_USER).expect("every system has nobody");
        chown(&path, Some(user.uid()), Some(user.primary_group_id())).expect("root may");
    }
    path.into_os_string().into_string().expect("a plain path")
}

#[test]
fn its_accounts_log_in_and_see_their_homes() {
    let folder = Folder::new();
    let (one, two) = (home(&folder, "one"), home(&folder, "two"));
    let server = start(&folder, &[format!("one:{HASH}:{one}"), format!("two:{HASH}:{two}")]);
    for name in ["one", "two"] {
        let mut client = server.connect();
        client.log_in_as(name, PASSWORD);
        assert_eq!(client.send("PWD").expect(257).quoted_path(), b"/");
        assert_eq!(client.retr("file"), name.as_bytes());
        client.stor("stored", "x");
        client.refused("RETR ../one/../two/file", &[550]);
        client.refused("RETR /etc/passwd", &[550]);
    }
}

#[test]
fn others_are_refused_in_the_same_words() {
    let folder = Folder::new();
    let one = home(&folder, "one");
    let server = start(
        &folder,
        &[format!("one:{HASH}:{one}"), format!("locked:!{HASH}:{one}"), format!("none::{one}")],
    );
    let refused = |name: &str, password: &str| {
        let mut client: Client = server.connect();
        let user = client.send(format!("USER {name}")).expect(331).text().replace(name, "NAME");
        let pass = client.send(format!("PASS {password}")).expect_any(&[530, 501]).text();
        client.send("PWD").expect(530);
        (user, pass)
    };
    let unknown = refused("unknown", PASSWORD);
    assert_eq!(refused("one", "wrong"), unknown);
    assert_eq!(refused("locked", PASSWORD), unknown);
    assert_eq!(refused("none", "x"), unknown);
    assert_eq!(refused("one", HASH), unknown);
}

#[test]
fn a_file_that_everybody_may_read_or_write_lets_nobody_in() {
    let folder = Folder::new();
    let one = home(&folder, "one");
    let server = start(&folder, &[format!("one:{HASH}:{one}")]);
    server.connect().log_in_as("one", PASSWORD);
    for mode in [0o644, 0o602] {
        set_mode(&folder, mode);
        let mut client = server.connect();
        client.send("USER one").expect(331);
        client.send(format!("PASS {PASSWORD}")).expect_any(&[530, 421, 451]);
    }
    set_mode(&folder, 0o600);
    server.connect().log_in_as("one", PASSWORD);
}

#[test]
fn a_file_with_a_line_that_makes_no_sense_lets_nobody_in() {
    let folder = Folder::new();
    let one = home(&folder, "one");
    for line in ["two", "two:x", "two:x:relative", "two:x:/tmp:nobody:more"] {
        let server = start(&folder, &[format!("one:{HASH}:{one}")]);
        let text = std::fs::read_to_string(folder.path("users")).expect("our own file");
        std::fs::write(folder.path("users"), format!("{text}{line}\n")).expect("our own file");
        let mut client = server.connect();
        client.send("USER one").expect(331);
        client.send(format!("PASS {PASSWORD}")).expect_any(&[530, 421, 451]);
    }
}

fn set_mode(folder: &Folder, mode: u32) {
    std::fs::set_permissions(folder.path("users"), Permissions::from_mode(mode)).expect("our own file");
}

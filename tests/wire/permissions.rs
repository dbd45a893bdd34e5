//! The permissions of what clients make: what any program of theirs would get in the same directory.

use crate::server::{ANONYMOUS_USER, Folder, Server, is_root};
use crate::shell::Shell;
use crate::test_support::find_program;

fn shell() -> Shell<'static> {
    Shell { user: is_root().then_some(ANONYMOUS_USER), group: None }
}

#[test]
fn new_files_are_a_shells_whatever_the_umask() {
    if find_program("setfacl").is_none() {
        return;
    }
    for options in [&[][..], &["--atomic-uploads"], &["--max-file-size=1m"]] {
        for umask in ["000", "022", "027", "077"] {
            let server = Server::start(&[&["-u", umask], options].concat());
            let mut client = server.log_in();
            shell().expect_the_same(&mut client, &server.path(""), "", umask);
            // Another one from now on.
            client.send("SITE UMASK 007").expect(200);
            shell().expect_the_same(&mut client, &server.path(""), "", "007");
        }
    }
}

#[test]
fn an_account_may_have_a_umask_of_its_own() {
    if find_program("setfacl").is_none() {
        return;
    }
    let etc = Folder::of_administrator();
    etc.write("ftpusers", "ftp allow umask=037\n");
    let config = etc.root();
    let server = Server::start(&["-u", "022", "-c", config.to_str().expect("a plain path")]);
    shell().expect_the_same(&mut server.log_in(), &server.path(""), "", "037");
}

#[test]
fn an_upload_mode_counts_for_files_alone_and_whatever_the_directory_says() {
    if find_program("setfacl").is_none() {
        return;
    }
    for options in [&["--upload-mode=640"][..], &["--upload-mode=640", "--atomic-uploads"]] {
        let server = Server::start(options);
        let mut client = server.log_in();
        client.send("MKD dir").expect(257);
        let lists = ["-d", "-m", "u:33:rwx,o::rwx"];
        let done = std::process::Command::new("setfacl").args(lists).arg(server.path("dir")).status();
        assert!(done.expect("it runs").success());
        for name in ["new", "dir/new"] {
            client.stor(name, "x");
            assert_eq!(server.mode(name), 0o640, "{name} {options:?}");
        }
    }
}

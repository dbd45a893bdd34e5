//! What accounts make has the permissions that their shells give, in a container too.

use std::path::Path;

use crate::containers;
use crate::ground::{GROUP, Ground, ONE, log_in};
use crate::server::Server;
use crate::shell::Shell;

const SHELL: Shell = Shell { user: Some(ONE.name), group: Some(GROUP) };

fn expect_the_same(ground: &Ground, server: &Server, umask: &str) {
    let folder = ground.folder_of(ONE, 0o755);
    let mut client = log_in(server, ONE);
    SHELL.expect_the_same(&mut client, Path::new(&folder), &folder, umask);
    client.send("SITE UMASK 007").expect(200);
    SHELL.expect_the_same(&mut client, Path::new(&folder), &folder, "007");
}

#[test]
fn of_the_option_and_of_site_umask() {
    let Some(ground) = Ground::new() else { return };
    for options in [&[][..], &["--atomic-uploads"], &["--max-file-size=1m"]] {
        for umask in ["022", "027", "077"] {
            let server = ground.start(&[&["-u", umask], options].concat());
            expect_the_same(&ground, &server, umask);
        }
    }
}

#[test]
fn of_the_account() {
    let Some(ground) = Ground::new() else { return };
    ground.configure("ftpusers", &format!("{} allow umask=037\n", ONE.name));
    let server = ground.start(&["-u", "022"]);
    expect_the_same(&ground, &server, "037");
}

#[test]
fn where_a_container_forbids_a_umask_of_the_threads_own() {
    let Some(ground) = Ground::new() else { return };
    for options in [&[][..], &["--atomic-uploads"], &["--max-file-size=1m"]] {
        for umask in ["022", "077"] {
            let server = containers::start(&ground, &[&["-u", umask], options].concat());
            expect_the_same(&ground, &server, umask);
        }
    }
}

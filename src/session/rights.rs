//! `Rights`: what a login may do, whatever the file system would allow.
//!
//! Computed once, at the login, from the command line, the options of the account and the kind
//! of login. Nobody else decides: the gate before a command, the handlers, uploads, the fact
//! `perm`, the texts that are shown, and the words of `-C` all ask here.

use crate::account::{Account, AccountKind};
use crate::config::{AnonymousPolicy, FilePolicy};
use crate::proto::command::Access;
use crate::proto::facts::Letters;

/// The things that a login may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Read what is in files.
    pub read: bool,
    /// Make files.
    pub create: bool,
    /// Make directories.
    pub mkdir: bool,
    /// Change what is there: the commands of [`Access::Modifier`].
    pub modify: bool,
    /// Write into a file that is there, or put another in its place.
    pub overwrite: bool,
    pub delete: bool,
    pub rename: bool,
    pub chmod: bool,
    /// An upload to a name that is taken gets a name of its own, as ftpd does it for anonymous clients:
    /// the next one must not spoil what the last one left.
    pub own_names: bool,
}

impl Rights {
    /// `anonymous` is what the command line says of anonymous logins; it matters for these alone.
    pub(crate) fn of(account: &Account, files: &FilePolicy, anonymous: Option<&AnonymousPolicy>) -> Rights {
        let options = &account.options;
        let anonymous = anonymous.filter(|_| matches!(account.kind, AccountKind::Anonymous { .. }));
        let write_only =
            files.write_only || options.write_only || anonymous.is_some_and(|policy| policy.write_only);
        let create = !(files.read_only || options.read_only) && anonymous.is_none_or(|policy| policy.write);
        let spoils_others = anonymous.is_none_or(|policy| policy.overwrite);
        let modify = create && spoils_others;
        Rights {
            read: !write_only,
            create,
            mkdir: create && anonymous.is_none_or(|policy| policy.mkdir),
            modify,
            overwrite: modify && !files.no_overwrite,
            delete: modify && !files.no_delete,
            rename: modify && !files.no_rename,
            chmod: modify && !files.no_chmod,
            own_names: create && !spoils_others,
        }
    }

    /// Whether commands that need `access` are open to this login.
    pub(crate) fn allows(&self, access: Access) -> bool {
        match access {
            Access::Anyone | Access::LoggedIn => true,
            Access::Reader => self.read,
            Access::Writer => self.create,
            Access::Modifier => self.modify,
        }
    }

    /// The things that the login may not do, in letters of the fact `perm` (RFC 3659 section 7.5.5).
    pub(crate) fn denied_letters(&self) -> Letters {
        let letters: [(bool, &[u8]); 6] = [
            (self.read, b"r"),
            (self.create, b"c"),
            (self.mkdir, b"m"),
            (self.overwrite, b"aw"),
            (self.delete, b"dp"),
            (self.rename, b"f"),
        ];
        let denied = letters.iter().filter(|(may, _)| !may);
        denied.fold(Letters::default(), |set, (_, more)| set.with(more))
    }

    /// The same in words.
    pub(crate) fn denied_words(&self) -> Vec<&'static str> {
        let words = [
            (self.create, "change anything"),
            (self.read, "download"),
            (self.mkdir, "make directories"),
            (self.overwrite, "overwrite"),
            (self.delete, "delete"),
            (self.rename, "rename"),
            (self.chmod, "change modes"),
            (self.modify, "change times"),
        ];
        words.into_iter().filter(|(may, _)| !may).map(|(_, word)| word).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::account::UserOptions;

    /// Nothing is forbidden.
    pub(in crate::session) const ALL: Rights = Rights {
        read: true,
        create: true,
        mkdir: true,
        modify: true,
        overwrite: true,
        delete: true,
        rename: true,
        chmod: true,
        own_names: false,
    };

    fn rights(
        kind: AccountKind,
        options: UserOptions,
        files: &FilePolicy,
        anonymous: &AnonymousPolicy,
    ) -> Rights {
        let account = Account {
            name: "joe".into(),
            kind,
            identity: None,
            root: "/".into(),
            confined: false,
            start: b"/".to_vec(),
            options,
            session: None,
        };
        Rights::of(&account, files, Some(anonymous))
    }

    /// The rule of every ftpd for anonymous clients.
    fn classic() -> AnonymousPolicy {
        AnonymousPolicy { write: true, ..AnonymousPolicy::default() }
    }

    fn guest(anonymous: AnonymousPolicy) -> Rights {
        let kind = AccountKind::Anonymous { email: String::new() };
        rights(kind, UserOptions::default(), &FilePolicy::default(), &anonymous)
    }

    fn real(options: UserOptions, files: &FilePolicy) -> Rights {
        rights(AccountKind::Real, options, files, &AnonymousPolicy::default())
    }

    #[test]
    fn what_an_account_may_do_is_what_nothing_forbids() {
        assert_eq!(real(UserOptions::default(), &FilePolicy::default()), ALL);
        let read_only = UserOptions { read_only: true, ..UserOptions::default() };
        let nothing = real(read_only, &FilePolicy::default());
        for access in [Access::Writer, Access::Modifier] {
            assert!(!nothing.allows(access));
        }
        assert!(nothing.allows(Access::Reader) && nothing.allows(Access::Anyone));
        assert!(nothing.denied_words().contains(&"change anything"));
        assert!(!nothing.denied_words().contains(&"download"));
        assert_eq!(nothing.denied_letters(), Letters::default().with(b"acdfmpw"));
    }

    #[test]
    fn anonymous_clients_spoil_nothing_unless_they_may() {
        let readers = guest(AnonymousPolicy { write: false, ..classic() });
        assert!(readers.read && !readers.create && !readers.modify && !readers.own_names);
        let usual = guest(classic());
        assert!(usual.create && usual.mkdir && usual.own_names);
        assert!(!usual.modify && !usual.overwrite);
        assert_eq!(usual.denied_letters(), Letters::default().with(b"adfpw"));
        assert_eq!(guest(AnonymousPolicy { overwrite: true, ..classic() }), ALL);
        let drop_box = AnonymousPolicy { write_only: true, mkdir: false, ..classic() };
        let drop_box = guest(drop_box);
        assert!(!drop_box.allows(Access::Reader) && drop_box.allows(Access::Writer) && !drop_box.mkdir);
    }

    #[test]
    fn each_option_takes_one_thing_away() {
        let files = |change: fn(&mut FilePolicy)| {
            let mut files = FilePolicy::default();
            change(&mut files);
            real(UserOptions::default(), &files)
        };
        assert_eq!(files(|files| files.no_delete = true), Rights { delete: false, ..ALL });
        assert_eq!(files(|files| files.no_rename = true), Rights { rename: false, ..ALL });
        assert_eq!(files(|files| files.no_overwrite = true), Rights { overwrite: false, ..ALL });
        assert_eq!(files(|files| files.no_chmod = true), Rights { chmod: false, ..ALL });
        assert_eq!(files(|files| files.write_only = true), Rights { read: false, ..ALL });
    }
}

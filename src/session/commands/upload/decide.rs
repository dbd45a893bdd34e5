//! Decides what an upload may do, and in which way: from what was asked for, what is there, and what
//! the login and the command line allow. Pure: it looks at nothing itself.

use crate::session::rights::Rights;

/// The client's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// STOR, with the offset of the REST before it.
    Store { restart: u64 },
    /// APPE.
    Append,
    /// STOU.
    Unique,
}

/// The thing that has the name already, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    Nothing,
    File,
    /// A directory, a device: nothing that can be stored to.
    Other,
}

/// The rules of the login and of the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub rights: Rights,
    /// `--atomic-uploads`: nobody sees a file that is not complete.
    pub atomic: bool,
    /// A limit or a quota may stop the upload, which must leave what is there as it was.
    pub limited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A file of this name is made; nothing may be there.
    New,
    /// A file is made of the first name that is free.
    Unique,
    /// The file that is there is emptied, and written anew.
    Replace,
    /// The file that is there is written on at its end.
    Append,
    /// The file that is there is written into, from an offset on.
    Update,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub way: Way,
    /// It is written beside its place, and put there once it is complete.
    pub draft: bool,
    /// Of a new file: what is done with one that has turned up in its place meanwhile.
    pub otherwise: Otherwise,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Otherwise {
    Replace,
    /// With a draft.
    ReplaceWhole,
    Append,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Objection {
    /// REST, where there is no such place.
    NoSuchPlace,
    /// The login may not change what is there.
    Denied,
    /// Nobody may (`--no-overwrite`).
    Exists,
    NotPlainFile,
}

pub(super) fn decide(wish: Wish, existing: Existing, rules: &Rules) -> Result<Plan, Objection> {
    let rights = &rules.rights;
    let otherwise = match wish {
        Wish::Append => Otherwise::Append,
        _ if rules.atomic || rules.limited => Otherwise::ReplaceWhole,
        _ => Otherwise::Replace,
    };
    let plan = |way, draft| Ok(Plan { way, draft, otherwise });
    match (wish, existing) {
        (Wish::Unique, _) => plan(Way::Unique, rules.atomic),
        (Wish::Store { restart: 1.. }, Existing::Nothing) => Err(Objection::NoSuchPlace),
        (Wish::Store { .. } | Wish::Append, Existing::Nothing) => plan(Way::New, rules.atomic),
        (Wish::Store { restart: 0 }, _) if rights.own_names => plan(Way::Unique, rules.atomic),
        (Wish::Store { .. } | Wish::Append, _) if rights.own_names => Err(Objection::Denied),
        (Wish::Store { .. } | Wish::Append, Existing::Other) => Err(Objection::NotPlainFile),
        (Wish::Store { .. } | Wish::Append, Existing::File) if !rights.overwrite => Err(Objection::Exists),
        (Wish::Store { restart: 0 }, Existing::File) => plan(Way::Replace, rules.atomic || rules.limited),
        (Wish::Store { .. }, Existing::File) => plan(Way::Update, rules.atomic || rules.limited),
        // Bytes that are added can be taken away again.
        (Wish::Append, Existing::File) => plan(Way::Append, rules.atomic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::rights::tests::ALL as MAY;

    const NO_OVERWRITE: Rights = Rights { overwrite: false, ..MAY };
    const ANONYMOUS: Rights = Rights { modify: false, own_names: true, ..NO_OVERWRITE };

    const STOR: Wish = Wish::Store { restart: 0 };
    const REST: Wish = Wish::Store { restart: 7 };

    #[test]
    fn the_way_of_an_upload() {
        use Existing::{File, Nothing, Other};
        use Objection::{Denied, Exists, NoSuchPlace, NotPlainFile};
        use Way::{Append, New, Replace, Unique, Update};
        for (wish, existing, rights, way) in [
            (STOR, Nothing, MAY, Ok(New)),
            (STOR, File, MAY, Ok(Replace)),
            (STOR, Other, MAY, Err(NotPlainFile)),
            (REST, Nothing, MAY, Err(NoSuchPlace)),
            (REST, File, MAY, Ok(Update)),
            (REST, Other, MAY, Err(NotPlainFile)),
            (Wish::Append, Nothing, MAY, Ok(New)),
            (Wish::Append, File, MAY, Ok(Append)),
            (Wish::Append, Other, MAY, Err(NotPlainFile)),
            (Wish::Unique, Nothing, MAY, Ok(Unique)),
            (Wish::Unique, File, MAY, Ok(Unique)),
            (STOR, Nothing, NO_OVERWRITE, Ok(New)),
            (STOR, File, NO_OVERWRITE, Err(Exists)),
            (REST, File, NO_OVERWRITE, Err(Exists)),
            (Wish::Append, File, NO_OVERWRITE, Err(Exists)),
            (Wish::Append, Nothing, NO_OVERWRITE, Ok(New)),
            (Wish::Unique, File, NO_OVERWRITE, Ok(Unique)),
            (STOR, Nothing, ANONYMOUS, Ok(New)),
            (STOR, File, ANONYMOUS, Ok(Unique)),
            (STOR, Other, ANONYMOUS, Ok(Unique)),
            (REST, File, ANONYMOUS, Err(Denied)),
            (Wish::Append, File, ANONYMOUS, Err(Denied)),
            (Wish::Append, Nothing, ANONYMOUS, Ok(New)),
        ] {
            for (atomic, limited) in [(false, false), (false, true), (true, false), (true, true)] {
                let rules = Rules { rights, atomic, limited };
                let found = decide(wish, existing, &rules);
                let what = format!("{wish:?} {existing:?} {rules:?}");
                assert_eq!(found.map(|plan| plan.way), way, "{what}");
                if let Ok(Plan { way, draft, otherwise }) = found {
                    let spoils = matches!(way, Replace | Update);
                    assert_eq!(draft, atomic || limited && spoils, "{what}");
                    assert_eq!(otherwise == Otherwise::Append, wish == Wish::Append, "{what}");
                    assert!(otherwise != Otherwise::Replace || !atomic && !limited, "{what}");
                }
            }
        }
    }
}

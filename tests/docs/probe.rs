//! What strangers send is read without a panic, and the same however it is cut: arbitrary bytes from a
//! fixed seed for each part of `ferryd::probe`.

use ferryd::probe::{self, Composition};

use crate::test_support::Random;

/// Inputs for each part. A fuzzer tries more.
const ROUNDS: usize = 500;

/// Calls `check` with bytes that are made of `pieces`, which stand between tildes, and of others: what
/// the part knows, so that it does not refuse all of them at the first byte.
fn with_arbitrary(seed: u64, pieces: &[u8], check: impl Fn(&mut Random, &[u8])) {
    let pieces: Vec<&[u8]> = pieces.split(|&byte| byte == b'~').collect();
    let mut random = Random::new(seed);
    for _ in 0..ROUNDS {
        let mut bytes = Vec::new();
        for _ in 0..random.below(12) {
            match random.below(4) {
                0 => bytes.push(random.next() as u8),
                1 => bytes.extend(random.pick(&pieces).repeat(random.below(40))),
                _ => bytes.extend(random.pick(&pieces)),
            }
        }
        check(&mut random, &bytes);
    }
}

#[test]
fn a_control_connection_says_the_same_however_it_is_cut() {
    let pieces = b"\r\n~\n~\r~\0~\r\0~\xff~\xff\xf4~\xff\xf2~\xff\xfb\x01~\xff\xfa~\xff\xf0~\xff\xff~ ~USER ~PASS ~RETR ~\
        TYPE A~PORT ~127,0,0,1,4,1~SITE ~CHMOD 644 ~REST ~18446744073709551616~MFMT 20260229120000 ~OPTS MLST ~..";
    with_arbitrary(1, pieces, |random, bytes| {
        let whole = probe::commands(bytes, bytes.len());
        for cut in [1, 2, 3, random.below(64) + 1] {
            assert_eq!(probe::commands(bytes, cut), whole, "{} in {cut}s", bytes.escape_ascii());
        }
    });
}

#[test]
fn no_text_makes_two_replies() {
    with_arbitrary(2, b"\r\n~\n~\r~230 ~-~\xff~\xc2\x85", |_, bytes| {
        let wire = probe::reply(bytes);
        let text = wire.strip_prefix(b"550 ").and_then(|rest| rest.strip_suffix(b"\r\n"));
        let text = text.expect("it is one reply");
        // A CR of the text is CR NUL, which ends no line.
        let ends = text.windows(2).filter(|two| two[0] == b'\r' && two[1] != 0).count();
        let is_one = !text.contains(&b'\n') && ends == 0 && !text.ends_with(b"\r");
        assert!(is_one, "{}", wire.escape_ascii());
    });
}

#[test]
fn a_path_name_is_a_path_below_the_root_or_none() {
    with_arbitrary(3, b"/~//~.~..~/../~a~\0~\xff~ ", |_, bytes| {
        let Some(path) = probe::path_name(bytes) else { return };
        assert!(path.starts_with(b"/") && !path.contains(&0));
        let mut names = path[1..].split(|&byte| byte == b'/');
        let is_name = |name: &[u8]| !matches!(name, b"" | b"." | b"..");
        assert!(path == b"/" || names.all(is_name), "{}", path.escape_ascii());
    });
}

#[test]
fn words_of_commands_are_understood_or_refused() {
    with_arbitrary(4, b" ~-~-l~-aR~--~-\xff~*~a", |_, bytes| {
        assert!(bytes.ends_with(probe::ls_options(bytes)), "{}", bytes.escape_ascii());
    });
    with_arbitrary(5, b"type~SIZE~;~modify;~unix.mode~ ~=", |_, bytes| {
        let Some(facts) = probe::facts(bytes) else { return };
        assert_eq!(probe::facts(facts.as_bytes()), Some(facts), "{}", bytes.escape_ascii());
    });
    let pieces = b"127,0,0,1~,~4~6,16~|1|~|2|~::1~127.0.0.1~|~21~65536~256~[~]~ftp.example.org~.~-~ALL~ ";
    with_arbitrary(6, pieces, |_, bytes| assert!(probe::addresses(bytes) <= 5));
}

#[test]
fn every_composition_gives_a_file_back() {
    let pieces = b"\r\n~\n~\r~\r\r\n~\0~\xff~text~\x40\0\0~\x80\0\x03~\x10\0\x02";
    for composition in Composition::all() {
        with_arbitrary(7, pieces, |random, bytes| {
            let mut cut = || random.below(9) + 1;
            let (encoded, decoded) = (cut(), cut());
            let file = composition.decode(&composition.encode(bytes, encoded), decoded);
            let what = format!("{composition:?}: {} in {encoded}s, {decoded}s", bytes.escape_ascii());
            let file = file.unwrap_or_else(|| panic!("{what}: no file"));
            assert!(!composition.is_faithful() || file == bytes, "{what}");
            // As what comes from a stranger.
            let whole = composition.decode(bytes, bytes.len());
            assert_eq!(composition.decode(bytes, decoded), whole, "{what}");
        });
    }
}

#[test]
fn patterns_end_whatever_they_are() {
    with_arbitrary(8, b"*~?~[~]~[!a-~a~b~\\~[[:", |random, bytes| {
        let _ = probe::glob(bytes, &random.bytes(60, b"ab[]*"));
        let is_literal = !bytes.iter().any(|byte| b"*?[\\".contains(byte));
        assert!(!is_literal || probe::glob(bytes, bytes), "{}", bytes.escape_ascii());
    });
}

#[test]
fn files_of_the_administrators_are_read_to_their_end() {
    let pieces =
        b"\n~anne~@~:~*~ ~\t~#~\"~\\ ~allow~deny~chroot~ro~rate=1k~hide=~umask=999~10.0.0.0/8~/./~$6$~\0~\
        \xff~\xef\xbb\xbf";
    with_arbitrary(9, pieces, |_, bytes| {
        let _ = probe::admin_files(bytes);
    });
}

#[cfg(feature = "tls")]
#[test]
fn certificates_name_somebody_or_nobody() {
    let pieces =
        b"\x30\x82\x01\0~\x30\x80~\x30\x03~\x31\x0b~\x06\x03\x55\x04\x03~\x0c\x02ab~\xa0\x03\x02\x01\x02~\
        \xa3\x84\xff\xff\xff\xff~\x04\0~\x81\x7f";
    with_arbitrary(10, pieces, |_, bytes| {
        let _ = probe::certificate(bytes);
    });
}

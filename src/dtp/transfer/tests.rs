use super::super::tests::{Control, Departed, connection};
use super::send::{SEND_PIECE, send_buffered};
use super::*;
use crate::dtp::connection::DataConnection;
use crate::dtp::error::{TransferError, TransferFailure, TransferLimits};
use crate::dtp::flow::Flow;
use crate::dtp::watch::{Progress, Verdict, Watch};
use crate::proto::codec::CodePage;
use crate::proto::codec::Outbound;
use crate::proto::params::{FormatControl, RepresentationType, Structure, TransferMode, TransferParameters};
use crate::sys::sockets;
use crate::test_support::Scratch;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

const LIMITS: TransferLimits =
    TransferLimits { timeout: Duration::from_secs(60), rate: None, max_size: None, min_free: None };

const IMAGE: TransferParameters = in_type(RepresentationType::Image);
const ASCII: TransferParameters = in_type(RepresentationType::Ascii(FormatControl::NonPrint));

const fn in_type(representation: RepresentationType) -> TransferParameters {
    TransferParameters {
        representation,
        structure: Structure::File,
        mode: TransferMode::Stream,
        page: CodePage::Ibm1047,
    }
}

/// A file in a directory of its own.
struct TestFile {
    _scratch: Scratch,
    path: PathBuf,
    file: File,
}

impl TestFile {
    fn new(content: &[u8]) -> TestFile {
        let scratch = Scratch::new();
        let path = scratch.write("file", content);
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        TestFile { _scratch: scratch, path, file }
    }

    fn source(&self, offset: u64) -> Source<'_> {
        Source { file: &self.file, range: Range::from(offset), size: self.file.metadata().unwrap().len() }
    }

    fn target(&self, offset: u64) -> Target<'_> {
        Target { file: &self.file, range: Range::from(offset), allowance: None }
    }

    fn content(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }
}

/// Numbers, so that no part is like another, in lines.
fn numbers(len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 10);
    for number in 0u32.. {
        if out.len() >= len {
            break;
        }
        writeln!(out, "{number:x}").unwrap();
    }
    out.truncate(len);
    out
}

fn network_lines(file: &[u8]) -> Vec<u8> {
    file.split(|&byte| byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..])
}

/// Reads all that the client gets.
fn download(mut client: TcpStream) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        got
    })
}

/// Sends all of `content`, and closes.
fn upload(mut client: TcpStream, content: Vec<u8>) -> JoinHandle<()> {
    thread::spawn(move || {
        // The server may have had enough.
        let _ = client.write_all(&content);
    })
}

fn retr(source: &Source<'_>, parameters: &TransferParameters, limits: &TransferLimits) -> (Vec<u8>, u64) {
    let ((mut data, client), (mut watch, _user)) = (connection(), Control::new());
    let got = download(client);
    let moved = send(&mut data, source, parameters, limits, &mut watch).unwrap();
    data.finish();
    (got.join().unwrap(), moved)
}

fn stor(
    target: &Target<'_>,
    content: &[u8],
    parameters: &TransferParameters,
    limits: &TransferLimits,
) -> Result<u64, TransferFailure> {
    let ((mut data, client), (mut watch, _user)) = (connection(), Control::new());
    let sender = upload(client, content.to_vec());
    let outcome = receive(&mut data, target, parameters, limits, &mut watch);
    drop(data);
    sender.join().unwrap();
    outcome
}

#[test]
fn files_of_all_sizes_arrive_from_every_offset() {
    for size in [0, 1, 4096, SEND_PIECE, SEND_PIECE + 1, 5 << 20] {
        let content = numbers(size);
        let file = TestFile::new(&content);
        for offset in [0, 1, size / 2, size, size + 5] {
            let (got, moved) = retr(&file.source(offset as u64), &IMAGE, &LIMITS);
            let expected = content.get(offset..).unwrap_or_default();
            assert!(got == expected, "{size} from {offset}");
            assert_eq!(moved, expected.len() as u64);
        }
    }
}

#[test]
fn a_file_that_grows_is_sent_to_its_new_end() {
    let content = numbers(1 << 20);
    let file = TestFile::new(&content);
    for size in [0, 10, 1 << 19] {
        let source = Source { size, ..file.source(0) };
        assert!(retr(&source, &IMAGE, &LIMITS).0 == content, "grown from {size}");
        assert!(retr(&source, &ASCII, &LIMITS).0 == network_lines(&content), "grown from {size}");
    }
}

#[test]
fn a_file_that_became_shorter_is_not_sent_completely() {
    let content = numbers(1 << 20);
    let file = TestFile::new(&content);
    for parameters in [&IMAGE, &ASCII] {
        for (start, size) in [(0, (1 << 20) + 1), (10, 4 << 20), (2 << 20, 4 << 20)] {
            let source = Source { size, ..file.source(start) };
            let ((mut data, client), (mut watch, _user)) = (connection(), Control::new());
            let got = download(client);
            let failure = send(&mut data, &source, parameters, &LIMITS, &mut watch).unwrap_err();
            assert!(matches!(failure.error, TransferError::CutShort), "{failure:?}");
            assert_eq!(failure.moved, (content.len() as u64).saturating_sub(start));
            drop(data);
            got.join().unwrap();
        }
    }
}

#[test]
fn of_a_range_no_more_is_sent_than_it_holds() {
    let content = numbers(3 << 20);
    let file = TestFile::new(&content);
    for (start, end) in [(0, 0), (0, 1), (7, 70_000), (70_000, 3 << 20), (5, 9 << 20), (4 << 20, 5 << 20)] {
        let range = Range { start: start as u64, end: Some(end as u64) };
        let expected = content.get(start..end.min(content.len())).unwrap_or_default();
        let source = Source { range, ..file.source(0) };
        let (got, moved) = retr(&source, &IMAGE, &LIMITS);
        assert!(got == expected && moved == expected.len() as u64, "{range:?}");
        assert!(retr(&source, &ASCII, &LIMITS).0 == network_lines(expected), "{range:?}");
        let slow = TransferLimits { rate: Some(20 << 20), ..LIMITS };
        assert!(retr(&source, &IMAGE, &slow).0 == expected, "{range:?}");
    }
}

#[test]
fn into_a_range_no_more_is_stored_than_it_holds() {
    for size in [1000, 3 << 20] {
        let range = Range { start: 100, end: Some(100 + size as u64) };
        let (file, limits) = (TestFile::new(b""), TransferLimits { max_size: Some(9 << 20), ..LIMITS });
        let target = Target { range, ..file.target(0) };
        stor(&target, &numbers(size), &IMAGE, &limits).unwrap();
        let failure = stor(&target, &numbers(size + 1), &IMAGE, &limits).unwrap_err();
        assert!(matches!(failure.error, TransferError::TooLarge), "{failure:?}");
    }
}

#[test]
fn what_sendfile_refuses_is_read_and_written() {
    let content = numbers(1 << 20);
    let file = TestFile::new(&content);
    let ((mut data, client), (mut watch, _user)) = (connection(), Control::new());
    let got = download(client);
    let mut flow = Flow::new(&mut data, &LIMITS, None, &mut watch);
    send_buffered(&mut flow, &file.source(3), 3, &mut Outbound::new(&IMAGE)).unwrap();
    assert_eq!(flow.done(), content.len() as u64 - 3);
    data.finish();
    assert!(got.join().unwrap() == content[3..]);
}

#[test]
fn text_arrives_with_network_line_ends() {
    for size in [0, 1, 5000, CONVERT_PIECE, 3 << 20] {
        let content = numbers(size);
        let (got, moved) = retr(&TestFile::new(&content).source(0), &ASCII, &LIMITS);
        assert!(got == network_lines(&content), "{size}");
        assert_eq!(moved, size as u64);
    }
}

#[test]
fn uploads_of_all_sizes_are_stored() {
    for size in [0, 1, SMALL - 1, SMALL, SMALL + 1, 5 << 20] {
        let content = numbers(size);
        let file = TestFile::new(b"");
        let moved = stor(&file.target(0), &content, &IMAGE, &LIMITS).unwrap();
        assert_eq!(moved, size as u64);
        assert!(file.content() == content, "{size}");
    }
}

#[test]
fn a_restarted_upload_goes_on_where_it_should() {
    let content = numbers(1 << 20);
    let file = TestFile::new(&content[..2000]);
    stor(&file.target(1000), &content[1000..], &IMAGE, &LIMITS).unwrap();
    assert!(file.content() == content);
}

#[test]
fn appending_works_where_splice_does_not() {
    let content = numbers(2 << 20);
    let file = TestFile::new(b"before");
    let append = OpenOptions::new().append(true).open(&file.path).unwrap();
    let limits = TransferLimits { max_size: Some(6 + content.len() as u64), ..LIMITS };
    stor(&Target { file: &append, range: Range::from(6), allowance: None }, &content, &IMAGE, &limits)
        .unwrap();
    assert!(file.content() == [b"before", &content[..]].concat());
}

#[test]
fn text_is_stored_with_the_line_ends_of_files() {
    let content = numbers(2 << 20);
    let file = TestFile::new(b"");
    let moved = stor(&file.target(0), &network_lines(&content), &ASCII, &LIMITS).unwrap();
    assert_eq!(moved, content.len() as u64);
    assert!(file.content() == content);

    let file = TestFile::new(b"");
    stor(&file.target(0), b"a\r\nlast\r", &ASCII, &LIMITS).unwrap();
    assert_eq!(file.content(), b"a\nlast\r");
}

#[test]
fn an_upload_may_be_as_large_as_the_limit_and_no_larger() {
    for size in [1000, 3 << 20] {
        let limits = TransferLimits { max_size: Some(size as u64 + 100), ..LIMITS };
        let file = TestFile::new(b"");
        stor(&file.target(100), &numbers(size), &IMAGE, &limits).unwrap();
        let failure = stor(&file.target(100), &numbers(size + 1), &IMAGE, &limits).unwrap_err();
        assert!(matches!(failure.error, TransferError::TooLarge), "{failure:?}");
        assert!(failure.moved <= size as u64);
    }
}

#[test]
fn an_upload_leaves_the_free_space_it_must() {
    let file = TestFile::new(b"");
    let limits = TransferLimits { min_free: Some(101), ..LIMITS };
    let failure = stor(&file.target(0), b"one byte too many", &IMAGE, &limits).unwrap_err();
    assert!(matches!(failure.error, TransferError::NoSpace), "{failure:?}");
    assert_eq!((failure.moved, file.content().len()), (0, 0));
    let limits = TransferLimits { min_free: Some(0), ..LIMITS };
    stor(&file.target(0), &numbers(1 << 20), &IMAGE, &limits).unwrap();
}

#[test]
fn a_full_disk_is_not_the_connections_fault() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else { return };
    for size in [1, 1 << 20] {
        let failure = stor(
            &Target { file: &full, range: Range::from(0), allowance: None },
            &numbers(size),
            &IMAGE,
            &LIMITS,
        );
        assert!(matches!(failure.unwrap_err().error, TransferError::DiskFull));
    }
}

#[test]
fn a_file_that_cannot_be_read_or_written_is_told_apart() {
    let file = TestFile::new(&numbers(1000));
    let write_only = OpenOptions::new().write(true).open(&file.path).unwrap();
    let ((mut data, _client), (mut watch, _user)) = (connection(), Control::new());
    let source = Source { file: &write_only, range: Range::from(0), size: 1000 };
    for parameters in [&IMAGE, &ASCII] {
        let failure = send(&mut data, &source, parameters, &LIMITS, &mut watch).unwrap_err();
        assert!(matches!(failure.error, TransferError::FileRead(_)), "{failure:?}");
    }
    let read_only = File::open(&file.path).unwrap();
    let failure =
        stor(&Target { file: &read_only, range: Range::from(0), allowance: None }, b"x", &IMAGE, &LIMITS);
    assert!(matches!(failure.unwrap_err().error, TransferError::FileWrite(_)));
}

#[test]
fn a_client_that_goes_away_loses_the_data_connection_alone() {
    let file = TestFile::new(&vec![b'x'; 20 << 20]);
    for parameters in [&IMAGE, &ASCII] {
        let ((mut data, client), (mut watch, _user)) = (connection(), Control::new());
        drop(client);
        let failure = send(&mut data, &file.source(0), parameters, &LIMITS, &mut watch).unwrap_err();
        assert!(matches!(failure.error, TransferError::DataLost(_)), "{failure:?}");
        assert!(failure.moved < 20 << 20);
    }
}

#[test]
fn a_reset_upload_is_lost_and_keeps_what_came() {
    let file = TestFile::new(b"");
    let ((mut data, mut client), (mut watch, _user)) = (connection(), Control::new());
    let sender = thread::spawn({
        let path = file.path.clone();
        move || {
            client.write_all(&[1; 5000]).unwrap();
            while fs::metadata(&path).unwrap().len() < 5000 {
                thread::yield_now();
            }
            sockets::reset_on_close(&client).unwrap();
        }
    });
    let failure = receive(&mut data, &file.target(0), &IMAGE, &LIMITS, &mut watch).unwrap_err();
    assert!(matches!(failure.error, TransferError::DataLost(_)), "{failure:?}");
    assert_eq!((failure.moved, file.content().len()), (5000, 5000));
    sender.join().unwrap();
}

#[test]
fn a_transfer_in_which_nothing_moves_is_ended() {
    let limits = TransferLimits { timeout: Duration::from_millis(20), ..LIMITS };
    let file = TestFile::new(&vec![b'x'; 30 << 20]);
    let ((mut data, _client), (mut watch, _user)) = (connection(), Control::new());
    for parameters in [&IMAGE, &ASCII] {
        let failure = send(&mut data, &file.source(0), parameters, &limits, &mut watch).unwrap_err();
        assert!(matches!(failure.error, TransferError::TimedOut), "{failure:?}");
    }
    let failure = receive(&mut data, &file.target(0), &IMAGE, &limits, &mut watch).unwrap_err();
    assert!(matches!(failure.error, TransferError::TimedOut), "{failure:?}");
}

#[test]
fn abor_ends_a_transfer_that_waits() {
    let file = TestFile::new(&vec![b'x'; 30 << 20]);
    let ((mut data, client), (mut watch, mut user)) = (connection(), Control::new());
    // STAT first, then ABOR, while the client does not read.
    user.write_all(b"SA").unwrap();
    let failure = send(&mut data, &file.source(0), &IMAGE, &LIMITS, &mut watch).unwrap_err();
    assert!(matches!(failure.error, TransferError::Aborted), "{failure:?}");
    assert_eq!(watch.seen, b"SA");
    let progress = watch.last.unwrap();
    assert_eq!(progress.total, Some(30 << 20));
    assert!(progress.done > 0 && progress.done == failure.moved);
    data.abandon(&failure.error);
    assert!(download(client).join().unwrap().len() as u64 >= failure.moved);

    let ((mut data, _client), (mut watch, mut user)) = (connection(), Control::new());
    user.write_all(b"A").unwrap();
    let failure = receive(&mut data, &file.target(0), &IMAGE, &LIMITS, &mut watch).unwrap_err();
    assert!(matches!(failure.error, TransferError::Aborted), "{failure:?}");
}

#[test]
fn what_a_client_sent_before_it_went_is_stored() {
    let content = numbers(3 << 20);
    for parameters in [&IMAGE, &ASCII] {
        let file = TestFile::new(b"");
        let ((mut data, mut client), mut watch) = (connection(), Departed::default());
        let sender = thread::spawn({
            let (content, looks) = (content.clone(), watch.looks.clone());
            move || {
                client.write_all(&content[..1000]).unwrap();
                while looks.load(Ordering::Relaxed) == 0 {
                    thread::yield_now();
                }
                client.write_all(&content[1000..]).unwrap();
            }
        });
        let moved = receive(&mut data, &file.target(0), parameters, &LIMITS, &mut watch).unwrap();
        assert!(moved == content.len() as u64 && file.content() == content);
        sender.join().unwrap();
    }
}

#[test]
fn an_upload_whose_client_is_gone_ends_when_nothing_comes_or_the_operator_says_so() {
    let file = TestFile::new(b"");
    let (mut data, _client) = connection();
    let mut watch = Departed { patience: Some(1), ..Departed::default() };
    let failure = receive(&mut data, &file.target(0), &IMAGE, &LIMITS, &mut watch).unwrap_err();
    assert!(matches!(failure.error, TransferError::ControlLost(_)), "{failure:?}");
    let failure = receive(&mut data, &file.target(0), &IMAGE, &LIMITS, &mut Departed::default()).unwrap_err();
    assert!(matches!(failure.error, TransferError::TimedOut), "{failure:?}");
}

/// Has a descriptor that is always readable, and says ABOR at the first look.
struct Impatient(Control);

impl Watch for Impatient {
    fn control(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.0.control()
    }

    fn ready(&mut self, _: &Progress) -> Verdict {
        Verdict::Abort
    }
}

#[test]
fn abor_is_heard_in_a_stream_that_never_waits() {
    // Bytes that go nowhere and come without end: neither call ever blocks.
    let (control, mut user) = Control::new();
    user.write_all(b"x").unwrap();
    let mut watch = Impatient(control);
    let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
    let mut null = DataConnection::new(TcpStream::from(OwnedFd::from(null)), None);
    let mut flow = Flow::new(&mut null, &LIMITS, None, &mut watch);
    let outcome = flow.write_all(&vec![0; 64 << 10]).and_then(|()| flow.write_all(&vec![0; 2 << 20]));
    assert!(matches!(outcome, Err(TransferError::Aborted)), "{outcome:?}");
}

#[test]
fn abor_is_heard_while_a_rate_limit_sleeps() {
    let limits = TransferLimits { rate: Some(1), ..LIMITS };
    let file = TestFile::new(&numbers(1000));
    let ((mut data, _client), (mut watch, mut user)) = (connection(), Control::new());
    user.write_all(b"A").unwrap();
    let failure = send(&mut data, &file.source(0), &IMAGE, &limits, &mut watch).unwrap_err();
    assert!(matches!(failure.error, TransferError::Aborted), "{failure:?}");
    assert_eq!(failure.moved, 1);
}

#[test]
fn a_rate_limit_changes_no_byte() {
    let limits = TransferLimits { rate: Some(20 << 20), ..LIMITS };
    let content = numbers(2 << 20);
    let file = TestFile::new(&content);
    for parameters in [&IMAGE, &ASCII] {
        let expected = if *parameters != IMAGE { network_lines(&content) } else { content.clone() };
        assert!(retr(&file.source(0), parameters, &limits).0 == expected);
    }
    let file = TestFile::new(b"");
    stor(&file.target(0), &content, &IMAGE, &limits).unwrap();
    assert!(file.content() == content);
}

#[test]
fn a_listing_arrives_however_it_is_made() {
    let content = numbers(3 << 20);
    for size in [100, 32 << 10, 1 << 20] {
        let ((mut data, client), (mut watch, _user)) = (connection(), Control::new());
        let got = download(client);
        let mut outgoing = Outgoing::new(&mut data, &ASCII, &LIMITS, &mut watch);
        for piece in content.chunks(size) {
            outgoing.write(piece).unwrap();
        }
        assert_eq!(outgoing.finish().unwrap(), content.len() as u64);
        data.finish();
        assert!(got.join().unwrap() == content, "pieces of {size}");
    }
}

/// What there is room for.
#[derive(Debug)]
struct Room(std::sync::atomic::AtomicU64);

impl Allowance for Room {
    fn take(&self, bytes: u64) -> bool {
        use std::sync::atomic::Ordering::Relaxed;
        self.0.fetch_update(Relaxed, Relaxed, |room| room.checked_sub(bytes)).is_ok()
    }
}

#[test]
fn a_quota_counts_what_a_file_grows_by() {
    let (scratch, content) = (TestFile::new(b""), numbers(300_000));
    // Ten bytes that are there already are written anew, and cost nothing.
    scratch.file.set_len(10).unwrap();
    let room = Room(299_990.into());
    let target = Target { file: &scratch.file, range: Range::from(0), allowance: Some(&room) };
    stor(&target, &content, &IMAGE, &LIMITS).unwrap();
    assert!(!room.take(1));
    let room = Room(100.into());
    let target = Target { file: &scratch.file, range: Range::from(300_000), allowance: Some(&room) };
    let failure = stor(&target, &content, &IMAGE, &LIMITS).unwrap_err();
    assert!(matches!(failure.error, TransferError::OverQuota), "{failure:?}");
    assert_eq!(scratch.file.metadata().unwrap().len() - 300_000, failure.moved);
}

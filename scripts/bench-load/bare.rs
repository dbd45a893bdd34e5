//! The limit: what a thread per connection, sendfile(2), splice(2) and rustls can
//! do when nothing is checked, logged or shared.
//!
//! It speaks enough FTP for the load generator's own client and runs as a
//! process of its own, so that its processor time and memory are counted like
//! those of the real servers.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustix::pipe::SpliceFlags;
use rustls::ServerConfig;

use crate::tls::{self, Control};

/// Bytes a call of sendfile(2): more is no faster.
const SEND_CHUNK: usize = 1 << 20;
/// Bytes a pipe holds, and a call of splice(2) moves.
const PIPE: usize = 1 << 20;

/// Serves `root` until it is killed.
pub(crate) fn serve(root: &Path, port: u16, certificate: &Path) -> io::Result<()> {
    let config = tls::server(certificate)?;
    let root: Arc<Path> = root.into();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    // std asks for a queue too short for a thousand clients at once.
    rustix::net::listen(&listener, 4096)?;
    for control in listener.incoming() {
        let (control, root, config) = (control?, Arc::clone(&root), Arc::clone(&config));
        thread::Builder::new().stack_size(128 << 10).spawn(move || {
            // A client that goes away ends its session, and nothing else.
            let _ = session(control, &root, &config);
        })?;
    }
    Ok(())
}

fn session(control: TcpStream, root: &Path, config: &Arc<ServerConfig>) -> io::Result<()> {
    control.set_nodelay(true)?;
    let mut control = Control::new(control);
    let mut protected = false;
    let mut passive: Option<TcpListener> = None;
    let mut input = [0; 512];
    let mut used = 0;
    control.write_all(b"220 bare\r\n")?;
    loop {
        let got = control.read(&mut input[used..])?;
        if got == 0 {
            return Ok(());
        }
        used += got;
        while let Some(end) = memchr::memchr(b'\n', &input[..used]) {
            let line = str::from_utf8(&input[..end]).unwrap_or_default().trim_end();
            let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
            match verb {
                "USER" => control.write_all(b"331 Send anything.\r\n")?,
                "PASS" => control.write_all(b"230 Logged in.\r\n")?,
                "AUTH" => {
                    control.write_all(b"234 Go on.\r\n")?;
                    control.secure(tls::accept(config)?)?;
                }
                "PBSZ" => control.write_all(b"200 So be it.\r\n")?,
                "PROT" => {
                    protected = true;
                    control.write_all(b"200 Protected.\r\n")?;
                }
                "TYPE" => control.write_all(b"200 Image.\r\n")?,
                "PASV" => {
                    let port = listen(&mut passive)?;
                    write!(control, "227 (127,0,0,1,{},{})\r\n", port >> 8, port & 0xff)?;
                }
                "RETR" => {
                    let file = File::open(root.join(argument))?;
                    let data = open_data(&mut control, passive.as_ref())?;
                    if protected {
                        send_by_tls(&data, &file, config)?
                    } else {
                        send(&data, &file)?
                    }
                    drop(data);
                    control.write_all(b"226 Sent.\r\n")?;
                }
                "STOR" => {
                    let file = File::create(root.join(argument))?;
                    let data = open_data(&mut control, passive.as_ref())?;
                    receive(&data, &file)?;
                    control.write_all(b"226 Stored.\r\n")?;
                }
                "QUIT" => return control.write_all(b"221 Bye.\r\n"),
                _ => control.write_all(b"502 No.\r\n")?,
            }
            input.copy_within(end + 1..used, 0);
            used -= end + 1;
        }
    }
}

/// One listener a session: the cheapest way there is.
fn listen(passive: &mut Option<TcpListener>) -> io::Result<u16> {
    if passive.is_none() {
        *passive = Some(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    }
    passive.as_ref().map_or(Ok(0), |listener| Ok(listener.local_addr()?.port()))
}

fn open_data(control: &mut Control, passive: Option<&TcpListener>) -> io::Result<TcpStream> {
    let (data, _): (TcpStream, SocketAddr) =
        passive.ok_or_else(|| io::Error::other("a transfer without PASV"))?.accept()?;
    control.write_all(b"150 Here it comes.\r\n")?;
    Ok(data)
}

fn send(data: &TcpStream, file: &File) -> io::Result<()> {
    // Corked, sendfile(2) makes full segments: three times as fast.
    rustix::net::sockopt::set_tcp_cork(data, true)?;
    while rustix::fs::sendfile(data, file, None, SEND_CHUNK)? > 0 {}
    Ok(())
}

fn send_by_tls(mut data: &TcpStream, file: &File, config: &Arc<ServerConfig>) -> io::Result<()> {
    let mut tls = tls::accept(config)?;
    tls.complete_io(&mut data)?;
    tls::encrypt(tls, file, &mut data)
}

fn receive(data: &TcpStream, file: &File) -> io::Result<()> {
    let (out, into) = rustix::pipe::pipe()?;
    // A smaller pipe works as well, only slower.
    let _ = rustix::pipe::fcntl_setpipe_size(&into, PIPE);
    loop {
        let mut waiting = rustix::pipe::splice(data, None, &into, None, PIPE, SpliceFlags::MOVE)?;
        if waiting == 0 {
            return Ok(());
        }
        while waiting > 0 {
            waiting -= rustix::pipe::splice(&out, None, file, None, waiting, SpliceFlags::MOVE)?;
        }
    }
}

//! A client that costs little: it shares the processors with the server it
//! measures, so it throws away what it receives inside the kernel and sends
//! files with sendfile(2). Nothing is allocated between two commands.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustls::ClientConfig;

use crate::tls::{self, Control};

/// No reply, and no byte of data, for so long: the server hangs, and the
/// measurement is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A control connection.
pub(crate) struct Client {
    control: Control,
    /// With the sessions of the control connection, once that is TLS.
    tls: Option<Arc<ClientConfig>>,
    input: Box<[u8; 4096]>,
    unread: Range<usize>,
    /// Where in `input` the last line of the last reply stands.
    last: Range<usize>,
}

impl Client {
    /// Connects and waits for the greeting.
    pub(crate) fn connect(server: SocketAddr) -> io::Result<Client> {
        let control = TcpStream::connect(server)?;
        control.set_nodelay(true)?;
        control.set_read_timeout(Some(PATIENCE))?;
        control.set_write_timeout(Some(PATIENCE))?;
        let control = Control::new(control);
        let mut client = Client { control, tls: None, input: Box::new([0; 4096]), unread: 0..0, last: 0..0 };
        client.expect_reply(220)?;
        Ok(client)
    }

    pub(crate) fn anonymous(server: SocketAddr) -> io::Result<Client> {
        let mut client = Client::connect(server)?;
        client.log_in("USER anonymous\r\n", "PASS bench@localhost\r\n")?;
        Ok(client)
    }

    /// By TLS, from before the login.
    pub(crate) fn anonymous_by_tls(server: SocketAddr) -> io::Result<Client> {
        let mut client = Client::connect(server)?;
        client.expect("AUTH TLS\r\n", 234)?;
        let config = tls::client()?;
        client.control.secure(tls::connect(&config)?)?;
        client.tls = Some(config);
        client.log_in("USER anonymous\r\n", "PASS bench@localhost\r\n")?;
        Ok(client)
    }

    /// Data connections are TLS from now on.
    pub(crate) fn protect(&mut self) -> io::Result<()> {
        self.expect("PBSZ 0\r\n", 200)?;
        self.expect("PROT P\r\n", 200)
    }

    /// `user` and `password` are whole command lines.
    pub(crate) fn log_in(&mut self, user: &str, password: &str) -> io::Result<()> {
        match self.command(user)? {
            230 => Ok(()),
            331 => self.expect(password, 230),
            _ => Err(self.unexpected()),
        }
    }

    pub(crate) fn quit(mut self) -> io::Result<()> {
        self.expect("QUIT\r\n", 221)
    }

    /// Sends `line`, which ends with CRLF, and wants this reply.
    pub(crate) fn expect(&mut self, line: &str, code: u16) -> io::Result<()> {
        self.control.write_all(line.as_bytes())?;
        self.expect_reply(code)
    }

    /// Opens a data connection by PASV.
    pub(crate) fn passive(&mut self) -> io::Result<TcpStream> {
        self.expect("PASV\r\n", 227)?;
        let address = passive_address(&self.input[self.last.clone()]).ok_or_else(|| self.unexpected())?;
        let data = TcpStream::connect(address)
            .map_err(|error| io::Error::other(format!("data connection to {address}: {error}")))?;
        data.set_read_timeout(Some(PATIENCE))?;
        data.set_write_timeout(Some(PATIENCE))?;
        Ok(data)
    }

    /// RETR, LIST or MLSD, by `line`; `sink` empties the data connection.
    pub(crate) fn retrieve(
        &mut self,
        line: &str,
        sink: impl FnOnce(&TcpStream) -> io::Result<u64>,
    ) -> io::Result<u64> {
        let data = self.passive()?;
        self.preliminary(line)?;
        let total = sink(&data)?;
        drop(data);
        self.expect_reply(226)?;
        Ok(total)
    }

    /// STOR, by `line`, of a whole file.
    pub(crate) fn store(&mut self, line: &str, file: &File) -> io::Result<u64> {
        let data = self.passive()?;
        self.preliminary(line)?;
        let total = send_file(&data, file)?;
        data.shutdown(Shutdown::Write)?;
        drop(data);
        self.expect_reply(226)?;
        Ok(total)
    }

    /// RETR by TLS, of `size` bytes. What comes is not decrypted, or the client
    /// would be the limit: it is counted, with what TLS adds to it.
    pub(crate) fn retrieve_by_tls(&mut self, line: &str, size: u64, scratch: &mut [u8]) -> io::Result<()> {
        let config = self.tls.clone().ok_or(io::ErrorKind::NotConnected)?;
        let data = self.passive()?;
        self.preliminary(line)?;
        let mut tls = tls::connect_data(&config, &data)?;
        data.set_nonblocking(true)?;
        let (mut total, mut heard) = (0, Instant::now());
        while heard.elapsed() < PATIENCE {
            match discard_some(&data, scratch) {
                Ok(Some(0)) => break,
                Ok(Some(got)) => (total, heard) = (total + got, Instant::now()),
                // Closed just when it was sent the close_notify.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset && total >= size => break,
                Err(error) => return Err(error),
                Ok(None) => {
                    // The server's close_notify may be among what was not
                    // decrypted, and vsftpd waits for the answer to its own.
                    if total >= size && heard.elapsed() > Duration::from_millis(2) {
                        tls.send_close_notify();
                        let _ = tls.write_tls(&mut &data);
                    }
                    pause();
                }
            }
        }
        drop(data);
        self.expect_reply(226)?;
        if (size..size + size / 20).contains(&total) {
            return Ok(());
        }
        Err(io::Error::other(format!("{total} bytes of TLS for {size}")))
    }

    /// STOR by TLS as far as the handshake, with all there is to send encrypted.
    pub(crate) fn begin_upload(&mut self, line: &str, file: &File) -> io::Result<Upload> {
        let config = self.tls.clone().ok_or(io::ErrorKind::NotConnected)?;
        let data = self.passive()?;
        self.preliminary(line)?;
        let tls = tls::connect_data(&config, &data)?;
        let size = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let mut ciphertext = Vec::with_capacity(size + size / 100);
        tls::encrypt(tls, file, &mut ciphertext)?;
        Ok(Upload { data, ciphertext })
    }

    pub(crate) fn finish_upload(&mut self, upload: &Upload) -> io::Result<()> {
        let mut data = &upload.data;
        data.write_all(&upload.ciphertext)?;
        data.shutdown(Shutdown::Write)?;
        self.expect_reply(226)
    }

    /// RETR without waiting for a reply: `finish` does.
    pub(crate) fn begin(&mut self, line: &str) -> io::Result<TcpStream> {
        let data = self.passive()?;
        self.control.write_all(line.as_bytes())?;
        Ok(data)
    }

    /// The replies to what `begin` began.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match self.reply()? {
            125 | 150 => self.expect_reply(226),
            _ => Err(self.unexpected()),
        }
    }

    fn preliminary(&mut self, line: &str) -> io::Result<()> {
        match self.command(line)? {
            125 | 150 => Ok(()),
            _ => Err(self.unexpected()),
        }
    }

    fn command(&mut self, line: &str) -> io::Result<u16> {
        self.control.write_all(line.as_bytes())?;
        self.reply()
    }

    fn expect_reply(&mut self, code: u16) -> io::Result<()> {
        if self.reply()? == code { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> io::Error {
        let line = String::from_utf8_lossy(&self.input[self.last.clone()]);
        io::Error::other(format!("answered {:?}", line.trim_end()))
    }

    /// Reads one reply, of however many lines.
    fn reply(&mut self) -> io::Result<u16> {
        let mut first = None;
        loop {
            let line = self.line()?;
            let text = &self.input[line.clone()];
            let code = text.get(..3).and_then(|code| str::from_utf8(code).ok()?.parse::<u16>().ok());
            let more = text.get(3) == Some(&b'-');
            self.last = line;
            match (code, first) {
                (Some(code), None) if more => first = Some(code),
                (Some(code), None) => return Ok(code),
                (Some(code), Some(opened)) if code == opened && !more => return Ok(code),
                (_, Some(_)) => (),
                (None, None) => return Err(self.unexpected()),
            }
        }
    }

    fn line(&mut self) -> io::Result<Range<usize>> {
        loop {
            let unread = self.unread.clone();
            if let Some(length) = memchr::memchr(b'\n', &self.input[unread.clone()]) {
                let line = unread.start..unread.start + length + 1;
                self.unread.start = line.end;
                return Ok(line);
            }
            self.input.copy_within(unread.clone(), 0);
            self.unread = 0..unread.len();
            let got = self.control.read(&mut self.input[unread.len()..])?;
            if got == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "hung up"));
            }
            self.unread.end += got;
        }
    }
}

/// An upload by TLS that has only to be sent.
pub(crate) struct Upload {
    data: TcpStream,
    ciphertext: Vec<u8>,
}

/// h1,h2,h3,h4,p1,p2 from a 227.
fn passive_address(reply: &[u8]) -> Option<SocketAddr> {
    let reply = str::from_utf8(reply).ok()?;
    let open = reply.find('(').map_or(4, |at| at + 1);
    let mut numbers = [0_u8; 6];
    let mut fields = reply.get(open..)?.split([',', ')', '.', '\r']);
    for number in &mut numbers {
        *number = fields.next()?.trim().parse().ok()?;
    }
    let [a, b, c, d, high, low] = numbers;
    Some(SocketAddr::from((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]))))
}

/// Reads to the end and forgets it. With MSG_TRUNC, TCP does not even copy the
/// bytes out of the kernel; `scratch` stays untouched and only bounds one call.
pub(crate) fn discard(data: &TcpStream, scratch: &mut [u8]) -> io::Result<u64> {
    let mut total = 0;
    loop {
        match discard_some(data, scratch)? {
            Some(0) => return Ok(total),
            Some(got) => total += got,
            None => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// As `discard`, but looks from time to time instead of waiting. A client over
/// a network costs the server's processor no wake-up; here each would, and what
/// that costs depends on the moment.
pub(crate) fn discard_polling(data: &TcpStream, scratch: &mut [u8]) -> io::Result<u64> {
    data.set_nonblocking(true)?;
    let (mut total, mut heard) = (0, Instant::now());
    while heard.elapsed() < PATIENCE {
        match discard_some(data, scratch)? {
            Some(0) => return Ok(total),
            Some(got) => (total, heard) = (total + got, Instant::now()),
            None => pause(),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Bytes thrown away, zero at the end, `None` when there is nothing now.
pub(crate) fn discard_some(data: &TcpStream, scratch: &mut [u8]) -> io::Result<Option<u64>> {
    match rustix::io::retry_on_intr(|| rustix::net::recv(data, &mut *scratch, RecvFlags::TRUNC)) {
        Ok((_, got)) => Ok(Some(got as u64)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Long enough for some 100 KiB to arrive, too short to be slept.
pub(crate) fn pause() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(30) {
        std::hint::spin_loop();
    }
}

/// Reads to the end and counts the lines.
pub(crate) fn count_lines(mut data: &TcpStream, scratch: &mut [u8]) -> io::Result<u64> {
    let mut lines = 0;
    loop {
        let got = data.read(scratch)?;
        if got == 0 {
            return Ok(lines);
        }
        lines += memchr::memchr_iter(b'\n', &scratch[..got]).count() as u64;
    }
}

fn send_file(data: &TcpStream, file: &File) -> io::Result<u64> {
    let mut offset = 0;
    loop {
        // The most that Linux moves in one call.
        let sent = rustix::fs::sendfile(data, file, Some(&mut offset), 0x7fff_f000)?;
        if sent == 0 {
            return Ok(offset);
        }
    }
}

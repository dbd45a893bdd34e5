//! The test's user-PI under TLS: the dialogue of `client`, as far as the tests of TLS need it.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::crypto::{ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, NamedGroup, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};

use crate::client::{Via, connect};
use crate::server::{DEADLINE, Folder, Server};

pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A folder with certificates and keys that only we may read.
pub(crate) struct Pems(Folder);

impl Pems {
    /// Those of tests/data/tls.
    pub(crate) fn new() -> Pems {
        let folder = Folder::new();
        for entry in fs::read_dir(data()).expect("tests/data/tls") {
            let path = entry.expect("an entry").path();
            let copy = folder.root().join(path.file_name().expect("a file"));
            fs::copy(&path, &copy).expect("our own folder");
            fs::set_permissions(&copy, Permissions::from_mode(0o600)).expect("our own file");
        }
        Pems(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.root().join(name)
    }

    /// `--tls-cert` and `--tls-key` for the pairs of these names.
    pub(crate) fn options(&self, names: &[&str]) -> Vec<String> {
        let option = |name: &str, kind| format!("{}/{name}.{kind}", self.0.root().display());
        let pair = |name: &&str| {
            ["--tls-cert".to_owned(), option(name, "pem"), "--tls-key".to_owned(), option(name, "key")]
        };
        names.iter().flat_map(pair).collect()
    }

    /// A server with these certificates, and with `args`.
    pub(crate) fn serve(&self, names: &[&str], args: &[&str]) -> Server {
        let options = self.options(names);
        let all: Vec<&str> = options.iter().map(String::as_str).chain(args.iter().copied()).collect();
        Server::start(&all)
    }
}

fn data() -> PathBuf {
    // Who runs the tests as somebody else may have to put the data elsewhere too.
    let data = std::env::var("FERRYD_TEST_DATA")
        .unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned() + "/tests/data");
    Path::new(&data).join("tls")
}

pub(crate) fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(data().join(name)).expect("a certificate")
}

/// A client with a memory for sessions of its own. It believes every certificate.
pub(crate) fn config(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    builder(versions).with_no_client_auth()
}

/// A memory for one ticket of TLS 1.3: a newer one takes its place, and who uses it has none.
#[derive(Debug, Default)]
pub(crate) struct NewestTicket(Mutex<Option<Tls13ClientSessionValue>>);

impl ClientSessionStore for NewestTicket {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        *self.0.lock().expect("nobody panics") = Some(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.lock().expect("nobody panics").take()
    }
}

/// A memory for sessions that takes all hosts for one.
#[derive(Debug)]
pub(crate) struct AnyName(ClientSessionMemoryCache);

impl Default for AnyName {
    fn default() -> AnyName {
        AnyName(ClientSessionMemoryCache::new(32))
    }
}

impl AnyName {
    fn any() -> ServerName<'static> {
        ServerName::try_from("any").expect("a name")
    }
}

impl ClientSessionStore for AnyName {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(AnyName::any(), group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&AnyName::any())
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.0.set_tls12_session(AnyName::any(), session);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&AnyName::any())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&AnyName::any());
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(AnyName::any(), ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&AnyName::any())
    }
}

/// The same, with the certificate of tests/data/tls/client.pem.
pub(crate) fn config_with_certificate(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let key = PrivateKeyDer::from_pem_file(data().join("client.key")).expect("a key");
    builder(versions).with_client_auth_cert(vec![certificate("client.pem")], key).expect("they fit")
}

pub(crate) fn builder(
    versions: &[&'static SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions of this library")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous))
}

/// Shakes hands.
pub(crate) fn secure(config: &Arc<ClientConfig>, name: &str, stream: TcpStream) -> io::Result<Stream> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let tls = ClientConnection::new(Arc::clone(config), name).expect("a connection");
    let mut stream = StreamOwned::new(tls, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Says close_notify and closes our half; returns what came until the server's.
pub(crate) fn close(mut stream: Stream) -> Vec<u8> {
    stream.conn.send_close_notify();
    stream.flush().expect("the server takes it");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the server says close_notify");
    rest
}

/// A control connection under TLS.
pub(crate) struct TlsClient {
    pub(crate) control: Stream,
    arrived: Vec<u8>,
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) via: Via,
}

impl TlsClient {
    /// Connects in the clear, and sends AUTH TLS.
    pub(crate) fn connect(server: &Server, config: ClientConfig) -> TlsClient {
        TlsClient::begin(TcpStream::connect(server.address()).expect("the server accepts"), config)
    }

    /// Sends AUTH TLS over a connection that was just made.
    pub(crate) fn begin(mut clear: TcpStream, config: ClientConfig) -> TlsClient {
        clear.set_read_timeout(Some(DEADLINE)).expect("a socket");
        expect_in_the_clear(&mut clear, "220");
        clear.write_all(b"AUTH TLS\r\n").expect("the server takes it");
        expect_in_the_clear(&mut clear, "234");
        TlsClient::on(clear, "localhost", config).expect("the handshake")
    }

    pub(crate) fn on(stream: TcpStream, name: &str, config: ClientConfig) -> io::Result<TlsClient> {
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        let config = Arc::new(config);
        let control = secure(&config, name, stream)?;
        Ok(TlsClient { control, arrived: Vec::new(), config, via: Via::Epsv })
    }

    /// Logged in, data connections protected.
    pub(crate) fn log_in(server: &Server, config: ClientConfig) -> TlsClient {
        let mut client = TlsClient::connect(server, config);
        client.log_in_here();
        client.send("PBSZ 0").expect(200);
        client.send("PROT P").expect(200);
        client
    }

    pub(crate) fn log_in_here(&mut self) {
        self.send("USER anonymous").expect(331);
        self.send("PASS test@example.org").expect(230);
        self.send("TYPE I").expect(200);
    }

    /// Logged in with a password, data connections protected.
    pub(crate) fn log_in_as(&mut self, name: &str, password: &str) {
        self.send(&format!("USER {name}")).expect(331);
        self.send(&format!("PASS {password}")).expect(230);
        self.send("PBSZ 0").expect(200);
        self.send("PROT P").expect(200);
        self.send("TYPE I").expect(200);
    }

    pub(crate) fn send(&mut self, line: &str) -> &mut TlsClient {
        self.control.write_all(format!("{line}\r\n").as_bytes()).expect("the server takes it");
        self.control.flush().expect("the server takes it");
        self
    }

    /// The next reply, whole; its code must be this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, code: u16) -> String {
        let reply = self.reply().unwrap_or_else(|err| panic!("expected {code}, not {err}"));
        assert!(reply.starts_with(&format!("{code}")), "expected {code}, not {reply}");
        reply
    }

    pub(crate) fn reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        loop {
            let Some(end) = self.arrived.windows(2).position(|two| two == b"\r\n") else {
                let mut buffer = [0; 4096];
                let count = self.control.read(&mut buffer)?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.arrived.extend(&buffer[..count]);
                continue;
            };
            let line: Vec<u8> = self.arrived.drain(..end + 2).collect();
            let line = String::from_utf8(line).expect("a reply is text");
            reply.push_str(&line);
            if line.as_bytes().get(3) == Some(&b' ') && line.as_bytes()[0].is_ascii_digit() {
                return Ok(reply);
            }
        }
    }

    /// A data port, and the connection to it once `command` was answered 150.
    #[track_caller]
    pub(crate) fn start_clear(&mut self, command: &str) -> TcpStream {
        match self.via {
            Via::Epsv => {
                let address = self.epsv();
                let data = connect(address);
                self.send(command).expect(150);
                data
            }
            _ => {
                let ip = self.control.sock.local_addr().expect("a socket").ip();
                let listener = std::net::TcpListener::bind((ip, 0)).expect("a free port");
                let port = listener.local_addr().expect("a socket").port();
                self.send(&format!("EPRT |1|{ip}|{port}|")).expect(200);
                self.send(command).expect(150);
                let data = listener.accept().expect("the server connects").0;
                data.set_read_timeout(Some(DEADLINE)).expect("a socket");
                data
            }
        }
    }

    #[track_caller]
    pub(crate) fn epsv(&mut self) -> SocketAddr {
        let reply = self.send("EPSV").expect(229);
        let port = reply.split('|').nth(3).and_then(|port| port.parse().ok()).expect("a port");
        SocketAddr::new(self.control.sock.peer_addr().expect("a socket").ip(), port)
    }

    /// A protected transfer that began.
    #[track_caller]
    pub(crate) fn start(&mut self, command: &str) -> Stream {
        let data = self.start_clear(command);
        secure(&self.config, "localhost", data).expect("the handshake of the data connection")
    }

    /// What a command sends over a protected data connection.
    #[track_caller]
    pub(crate) fn receive(&mut self, command: &str) -> Vec<u8> {
        let mut data = self.start(command);
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).expect("the end is close_notify");
        self.expect(226);
        bytes
    }

    #[track_caller]
    pub(crate) fn store(&mut self, command: &str, bytes: &[u8]) {
        let mut data = self.start(command);
        data.write_all(bytes).expect("the server takes it");
        close(data);
        self.expect(226);
    }
}

#[track_caller]
pub(crate) fn expect_in_the_clear(stream: &mut TcpStream, code: &str) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        stream.read_exact(&mut byte).expect("a reply");
        line.push(byte[0]);
    }
    let line = String::from_utf8(line).expect("a reply is text");
    assert!(line.starts_with(code), "expected {code}, not {line}");
    line
}

/// Believes every certificate, and checks that the key is its own.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

//! TLS for the client and the bare loop: TLS 1.3, by rustls, AES-256-GCM as it prefers.
//!
//! The client believes every certificate: what it costs to check one is not
//! the server's doing.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, ServerConfig, ServerConnection,
    SignatureScheme,
};

/// What is read of a file and encrypted at once: more is slower.
const PIECE: usize = 64 << 10;

/// A control connection, that may become TLS.
pub(crate) struct Control {
    stream: TcpStream,
    tls: Option<Box<Connection>>,
}

impl Control {
    pub(crate) fn new(stream: TcpStream) -> Control {
        Control { stream, tls: None }
    }

    /// The handshake.
    pub(crate) fn secure(&mut self, tls: impl Into<Connection>) -> io::Result<()> {
        let mut tls = Box::new(tls.into());
        tls.complete_io(&mut self.stream)?;
        self.tls = Some(tls);
        Ok(())
    }
}

impl Read for Control {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tls.complete_io(&mut self.stream)?;
                }
                done => return done,
            }
        }
    }
}

impl Write for Control {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.write(bytes) };
        let written = tls.writer().write(bytes)?;
        while tls.wants_write() {
            tls.write_tls(&mut self.stream)?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client that knows no session yet.
pub(crate) fn client() -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(1);
    Ok(Arc::new(config))
}

pub(crate) fn connect(config: &Arc<ClientConfig>) -> io::Result<ClientConnection> {
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)
}

/// The handshake on a data connection. It offers a session to resume: ferryd
/// insists on that by itself, and pure-ftpd takes none.
pub(crate) fn connect_data(config: &Arc<ClientConfig>, mut data: &TcpStream) -> io::Result<ClientConnection> {
    let mut tls = connect(config)?;
    tls.complete_io(&mut data)?;
    Ok(tls)
}

/// The server's side of the bare loop, with the certificate and key in `file`.
pub(crate) fn server(file: &Path) -> io::Result<Arc<ServerConfig>> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .map_err(io::Error::other)?
        .collect::<Result<_, _>>()
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(file).map_err(io::Error::other)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(io::Error::other)?;
    Ok(Arc::new(config))
}

pub(crate) fn accept(config: &Arc<ServerConfig>) -> io::Result<ServerConnection> {
    ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)
}

/// Encrypts all of `file` and the close_notify after it, into `sink`.
pub(crate) fn encrypt(tls: impl Into<Connection>, mut file: &File, sink: &mut dyn Write) -> io::Result<()> {
    let mut tls = tls.into();
    tls.set_buffer_limit(None);
    let mut piece = vec![0; PIECE];
    loop {
        let got = file.read(&mut piece)?;
        if got == 0 {
            tls.send_close_notify();
        }
        tls.writer().write_all(&piece[..got])?;
        while tls.wants_write() {
            tls.write_tls(sink)?;
        }
        if got == 0 {
            return Ok(());
        }
    }
}

#[derive(Debug)]
struct Credulous(Arc<CryptoProvider>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

//! Certificates and keys from their files, and which of them a client gets.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::config::KeyPair;

/// More than any chain of certificates needs.
const MOST_BYTES: u64 = 1 << 20;

/// Bits that no file with a key may have: others read or change it, the group changes it.
const TOO_OPEN: u32 = 0o026;

/// The server's certificates, in the order of the command line.
#[derive(Debug)]
pub(super) struct Certificates(pub Vec<Arc<CertifiedKey>>);

impl Certificates {
    /// The error begins with the file.
    pub(super) fn load(pairs: &[KeyPair], provider: &CryptoProvider) -> io::Result<Certificates> {
        let load = |pair| load_pair(pair, provider).map(Arc::new);
        pairs.iter().map(load).collect::<io::Result<_>>().map(Certificates)
    }

    /// The first that has the name the client asks for and a kind of key that it
    /// knows; without such a name, the first that it can use.
    fn choose(&self, name: Option<&str>, fits: impl Fn(&CertifiedKey) -> bool) -> Option<Arc<CertifiedKey>> {
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let usable = || self.0.iter().filter(|pair| fits(pair));
        let named = name.and_then(|name| usable().find(|pair| has_name(pair, &name)));
        named.or_else(|| usable().next()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let [only] = &self.0[..] {
            return Some(Arc::clone(only));
        }
        let schemes = hello.signature_schemes();
        self.choose(hello.server_name(), |pair| pair.key.choose_scheme(schemes).is_some())
    }
}

fn has_name(pair: &CertifiedKey, name: &ServerName<'_>) -> bool {
    pair.cert
        .first()
        .and_then(|certificate| ParsedCertificate::try_from(certificate).ok())
        .is_some_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

fn load_pair(pair: &KeyPair, provider: &CryptoProvider) -> io::Result<CertifiedKey> {
    let text = read(&pair.certificate, pair.key.is_none())?;
    let chain = certificates(&text).map_err(named(&pair.certificate))?;
    let (key_file, key_text) = match &pair.key {
        Some(path) => (path, read(path, true)?),
        None => (&pair.certificate, text),
    };
    let key = PrivateKeyDer::from_pem_slice(&key_text)
        .map_err(|err| invalid(format!("no private key in PEM: {err}")))
        .map_err(named(key_file))?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|err| invalid(format!("the private key cannot be used: {err}")))
        .map_err(named(key_file))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // The kind of key may not be known.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(_) => Err(invalid("not the key of this certificate")).map_err(named(key_file)),
    }
}

/// The authorities that may sign clients' certificates. The error begins with the file.
pub(super) fn load_roots(path: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in read(path, false).and_then(|text| certificates(&text).map_err(named(path)))? {
        roots.add(certificate).map_err(|err| invalid(err.to_string())).map_err(named(path))?;
    }
    Ok(roots)
}

fn certificates(text: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|err| invalid(format!("not certificates in PEM: {err}")))?;
    match chain.first().map(ParsedCertificate::try_from) {
        None => Err(invalid("no certificate in PEM")),
        Some(Err(err)) => Err(invalid(format!("the certificate cannot be used: {err}"))),
        Some(Ok(_)) => Ok(chain),
    }
}

/// The file, wiped from memory once it is understood.
fn read(path: &Path, secret: bool) -> io::Result<Zeroizing<Vec<u8>>> {
    let read = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if secret && metadata.mode() & TOO_OPEN != 0 {
            let text = format!(
                "holds a private key, but its mode is {:03o}: others must neither read nor change it (chmod 600)",
                metadata.mode() & 0o777
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        // Room for all of it: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len().min(MOST_BYTES) as usize + 1));
        file.take(MOST_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(named(path))
}

/// Device, number, size and time of files; `None` of those that are not there.
pub(super) type Stamps = Vec<Option<(u64, u64, u64, i64, i64)>>;

/// The state of the files, to see whether somebody has changed them.
pub(super) fn stamps<'a>(paths: impl Iterator<Item = &'a Path>) -> Stamps {
    let stamp = |path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
    };
    paths.map(stamp).collect()
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

fn named(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |err| io::Error::new(err.kind(), format!("{}: {err}", path.display()))
}

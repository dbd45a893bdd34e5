//! The server's certificates and rules, and their renewal.

use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};

use super::certificates::{self, Certificates, Stamps};
use super::registry::Registry;
use super::{Binding, self_signed, tickets};
use crate::config::{ClientAuth, TlsPolicy};

/// How often the files are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Shared by all control connections.
pub(crate) struct Server {
    policy: TlsPolicy,
    provider: Arc<CryptoProvider>,
    config: RwLock<Arc<ServerConfig>>,
    seen: Mutex<Seen>,
    registry: Arc<Registry>,
    /// `--tls-self-signed`: made at start, kept until the end.
    own: Option<Arc<Certificates>>,
}

struct Seen {
    at: Instant,
    stamps: Stamps,
}

impl Server {
    /// Reads the files. `host` is the name that a self-signed certificate gets.
    ///
    /// # Errors
    /// They begin with the file that is wrong.
    pub(crate) fn new(policy: &TlsPolicy, host: &str) -> io::Result<Server> {
        let provider = Arc::new(tickets::resending(ring::default_provider()));
        let own = if policy.self_signed {
            Some(Arc::new(Certificates(vec![Arc::new(self_signed::make(host, &provider)?)])))
        } else {
            None
        };
        let seen = Seen { at: Instant::now(), stamps: stamps(policy) };
        let config = RwLock::new(Arc::new(load(policy, own.as_ref(), &provider)?));
        Ok(Server {
            policy: policy.clone(),
            provider,
            config,
            seen: Mutex::new(seen),
            registry: Arc::default(),
            own,
        })
    }

    /// What a new control connection from this address needs.
    pub(crate) fn bind(&self, address: IpAddr) -> Binding {
        Binding::new(&self.config.read(), &self.registry, address)
    }

    /// Reads the files again; those that are wrong leave things as they are.
    pub(crate) fn reload(&self) {
        self.read(&mut self.seen.lock());
    }

    /// Reads the files again if they have changed. Looks at them now and then
    /// only, so that every client may ask.
    pub(crate) fn reload_if_changed(&self) {
        // Nobody waits for another one who looks: what there is will do until then.
        let Some(mut seen) = self.seen.try_lock() else { return };
        if seen.at.elapsed() < LOOK_EVERY {
            return;
        }
        seen.at = Instant::now();
        if seen.stamps != stamps(&self.policy) {
            self.read(&mut seen);
        }
    }

    fn read(&self, seen: &mut Seen) {
        *seen = Seen { at: Instant::now(), stamps: stamps(&self.policy) };
        match load(&self.policy, self.own.as_ref(), &self.provider) {
            Ok(config) => {
                *self.config.write() = Arc::new(config);
                log::info!("certificates loaded");
            }
            Err(err) => log::error!("the certificates stay as they were: {err}"),
        }
    }

    /// `--tls-self-signed` says this at start: the SHA-256 fingerprint, as clients show it.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        let certificate = self.own.as_ref()?.0.first()?.cert.first()?;
        let digest = self_signed::sha256(certificate);
        let mut text = String::new();
        for (index, byte) in digest.iter().enumerate() {
            let colon = if index > 0 { ":" } else { "" };
            write!(text, "{colon}{byte:02X}").expect("a string takes all that is written to it");
        }
        Some(text)
    }
}

fn stamps(policy: &TlsPolicy) -> Stamps {
    let pairs = policy.pairs.iter().flat_map(|pair| [Some(pair.certificate.as_path()), pair.key.as_deref()]);
    certificates::stamps(pairs.flatten().chain(policy.client_ca.as_deref()).map(Path::as_ref))
}

fn load(
    policy: &TlsPolicy,
    own: Option<&Arc<Certificates>>,
    provider: &Arc<CryptoProvider>,
) -> io::Result<ServerConfig> {
    let pairs = match own {
        Some(own) => Arc::clone(own),
        None => Arc::new(Certificates::load(&policy.pairs, provider)?),
    };
    let versions: &[_] = if policy.only_tls13 { &[&TLS13] } else { &[&TLS13, &TLS12] };
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .map_err(io::Error::other)?;
    Ok(builder.with_client_cert_verifier(verifier(policy, provider)?).with_cert_resolver(pairs))
}

fn verifier(policy: &TlsPolicy, provider: &Arc<CryptoProvider>) -> io::Result<Arc<dyn ClientCertVerifier>> {
    let Some(path) = policy.client_ca.as_deref().filter(|_| policy.client_auth != ClientAuth::Off) else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let roots = Arc::new(certificates::load_roots(path)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    if policy.client_auth == ClientAuth::Request {
        builder = builder.allow_unauthenticated();
    }
    builder
        .build()
        .map_err(|err| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {err}", path.display())))
}

//! The options about TLS: which of them need each other, and the certificate to which each key belongs.

use std::path::PathBuf;

use super::addresses::port;
use super::{Problem, problem};
use crate::cli::{Options, TlsOptions};
use crate::config::{ClientAuth, KeyPair, TlsPolicy, TlsRequired};

/// Certificates and rules; `None` without TLS.
pub(super) fn tls_policy(options: &Options) -> Result<Option<TlsPolicy>, Problem> {
    let tls = &options.tls;
    let certificate = !tls.certificates.is_empty() || tls.self_signed;
    let required = match tls.required {
        Some(None) => return Ok(None),
        Some(Some(required)) => required,
        // An administrator who has a certificate does not want passwords to be seen.
        None => TlsRequired::Login,
    };
    if !certificate {
        let needs = [
            ("--tls", tls.required.is_some()),
            ("--tls-key", !tls.keys.is_empty()),
            ("--tls-port", tls.port.is_some()),
            ("--tls-client-ca", tls.client_ca.is_some()),
            ("--tls-client-auth", tls.client_auth.is_some_and(|auth| auth != ClientAuth::Off)),
            ("--tls-client-login", tls.client_login),
        ];
        return match needs.iter().find(|(_, given)| *given) {
            Some((option, _)) => problem(option, "needs --tls-cert, or --tls-self-signed to try it out"),
            None => Ok(None),
        };
    }
    if !cfg!(feature = "tls") {
        return problem("--tls", "this ferryd was built without TLS");
    }
    if tls.self_signed && !tls.certificates.is_empty() {
        return problem("--tls-self-signed", "not with --tls-cert");
    }
    let client_auth = match (&tls.client_ca, tls.client_auth) {
        (None, Some(ClientAuth::Request | ClientAuth::Require)) => {
            return problem("--tls-client-auth", "needs --tls-client-ca");
        }
        (None, _) => ClientAuth::Off,
        (Some(_), asked) => asked.unwrap_or(ClientAuth::Require),
    };
    if tls.client_login && client_auth == ClientAuth::Off {
        return problem("--tls-client-login", "needs --tls-client-ca");
    }
    Ok(Some(TlsPolicy {
        required,
        pairs: key_pairs(tls)?,
        self_signed: tls.self_signed,
        port: tls.port.as_deref().map(|word| port("--tls-port", word)).transpose()?,
        only_tls13: tls.only_tls13,
        reuse: tls.reuse,
        client_ca: tls.client_ca.clone(),
        client_auth,
        client_login: tls.client_login,
        allow_ccc: tls.allow_ccc,
    }))
}

/// The first key belongs to the first certificate, and so on.
fn key_pairs(tls: &TlsOptions) -> Result<Vec<KeyPair>, Problem> {
    let (certificates, keys) = (tls.certificates.len(), tls.keys.len());
    if keys != 0 && keys != certificates {
        let reason = format!("{keys} of them for {certificates} of --tls-cert: one for each, or none");
        return problem("--tls-key", reason);
    }
    let pair = |(index, certificate): (usize, &PathBuf)| KeyPair {
        certificate: certificate.clone(),
        key: tls.keys.get(index).cloned(),
    };
    Ok(tls.certificates.iter().enumerate().map(pair).collect())
}

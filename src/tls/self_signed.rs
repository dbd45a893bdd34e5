//! A certificate for trying TLS out: made at start, signed by itself, never
//! written to a disk. RFC 5280 section 4.1; RFC 5480 and 5758 for its key.

use std::io;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::der;
use crate::sys::clock;

/// Seconds that it is good for. Nobody should get used to it.
const LIFETIME: i64 = 30 * 24 * 3600;
/// For clients whose clocks are behind, in seconds.
const BEFORE: i64 = 24 * 3600;

const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// A certificate for `host` and for `localhost`, with its key.
pub(super) fn make(host: &str, provider: &CryptoProvider) -> io::Result<CertifiedKey> {
    let failed = |what: &'static str| move |_| io::Error::other(what);
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
        .map_err(failed("no key can be made"))?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random)
        .map_err(|err| io::Error::other(err.to_string()))?;
    let mut serial = [0; 16];
    random.fill(&mut serial).map_err(failed("no random numbers"))?;
    serial[0] = serial[0] & 0x7f | 0x40; // Positive, and as long as it is.

    let body = to_be_signed(host, &serial, pair.public_key().as_ref());
    let signature = pair.sign(&random, &body).map_err(failed("the certificate cannot be signed"))?;
    let certificate =
        der::sequence(&[body, der::sequence(&[der::oid(ECDSA_WITH_SHA256)]), der::bits(signature.as_ref())]);

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.as_ref().to_vec()));
    let key = provider.key_provider.load_private_key(key).map_err(io::Error::other)?;
    Ok(CertifiedKey::new(vec![CertificateDer::from(certificate)], key))
}

pub(super) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn to_be_signed(host: &str, serial: &[u8], public_key: &[u8]) -> Vec<u8> {
    let now = clock::now();
    let common_name =
        der::sequence(&[der::oid(COMMON_NAME), der::utf8("ferryd, self-signed, for trying out")]);
    let name = der::sequence(&[der::set(&[common_name])]);
    let names: Vec<Vec<u8>> = ["localhost", host]
        .into_iter()
        .filter(|name| !name.is_empty() && name.is_ascii())
        .map(|name| der::dns_name(name.as_bytes()))
        .chain([der::ip_address(&[127, 0, 0, 1]), der::ip_address(&std::net::Ipv6Addr::LOCALHOST.octets())])
        .collect();
    let alternative = der::sequence(&[der::oid(SUBJECT_ALT_NAME), der::octets(&der::sequence(&names))]);
    der::sequence(&[
        der::tagged(0, &der::integer(&[2])), // Version 3.
        der::integer(serial),
        der::sequence(&[der::oid(ECDSA_WITH_SHA256)]),
        name.clone(),
        der::sequence(&[der::time(now - BEFORE), der::time(now + LIFETIME)]),
        name,
        der::sequence(&[der::sequence(&[der::oid(EC_PUBLIC_KEY), der::oid(P256)]), der::bits(public_key)]),
        der::tagged(3, &der::sequence(&[alternative])),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::client::verify_server_name;
    use rustls::pki_types::ServerName;
    use rustls::server::ParsedCertificate;

    #[test]
    fn a_self_signed_certificate_is_one_for_its_host() {
        let pair = make("ftp.example.org", &rustls::crypto::ring::default_provider()).unwrap();
        assert_eq!(pair.keys_match(), Ok(()));
        let parsed = ParsedCertificate::try_from(&pair.cert[0]).unwrap();
        for (name, fits) in
            [("ftp.example.org", true), ("localhost", true), ("127.0.0.1", true), ("example.org", false)]
        {
            let name = ServerName::try_from(name).unwrap();
            assert_eq!(verify_server_name(&parsed, &name).is_ok(), fits, "{name:?}");
        }
    }
}

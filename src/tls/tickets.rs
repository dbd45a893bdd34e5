//! The ticket of a connection's handshake under TLS 1.3, sent once more.
//!
//! Clients by OpenSSL (curl, PHP) use a ticket once and keep the newest only, so that each data
//! connection costs them one. What is sent over a data connection that they write to does not
//! make up for it: curl closes it before the ticket of a small file has come, and Go's clients
//! close it without a look at what has come, which resets the connection and loses the end of
//! the file. Over the control connection a ticket comes in front of the reply that everybody
//! waits for.
//!
//! A server may send a ticket whenever it likes (RFC 8446 section 4.6.1), but rustls has no call for
//! it. Here its cipher suites get encrypters that note which ticket they encrypt, and send
//! one that is written as the handshake message that it is. rustls does all the rest: keys,
//! sequence numbers, records.

use std::cell::{Cell, RefCell};

use rustls::SupportedCipherSuite;
use rustls::crypto::CryptoProvider;
use rustls::crypto::cipher::{
    AeadKey, Iv, MessageDecrypter, MessageEncrypter, OutboundOpaqueMessage, OutboundPlainMessage,
    Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::{CipherSuiteCommon, ContentType, Error, Tls13CipherSuite};

/// The beginning of a handshake message: its type, and its length in three bytes.
const HEADER: usize = 4;
/// NewSessionTicket.
const TICKET: u8 = 4;

thread_local! {
    /// The ticket that was encrypted last: of the connection that the thread is at work on.
    static ENCRYPTED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
    /// The next thing to be encrypted is a handshake message, though rustls takes it for data.
    static IS_HANDSHAKE: Cell<bool> = const { Cell::new(false) };
}

/// Does `work`, in which a handshake may end; also gives the ticket that was sent then.
pub(super) fn noting<T>(work: impl FnOnce() -> T) -> (T, Option<Vec<u8>>) {
    ENCRYPTED.take();
    let result = work();
    (result, ENCRYPTED.take())
}

/// Does `work`, which writes a ticket to a connection as if it were data.
pub(super) fn sending<T>(work: impl FnOnce() -> T) -> T {
    struct Sending;
    impl Drop for Sending {
        fn drop(&mut self) {
            IS_HANDSHAKE.set(false);
        }
    }
    let _until_done = Sending;
    IS_HANDSHAKE.set(true);
    work()
}

/// `provider`, with cipher suites that do this. Made once: they stay until the process ends.
pub(super) fn resending(mut provider: CryptoProvider) -> CryptoProvider {
    for suite in &mut provider.cipher_suites {
        if let SupportedCipherSuite::Tls13(inner) = *suite {
            *suite = SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: CipherSuiteCommon { ..inner.common },
                hkdf_provider: inner.hkdf_provider,
                aead_alg: Box::leak(Box::new(Resending(inner.aead_alg))),
                quic: None,
            })));
        }
    }
    provider
}

struct Resending<T>(T);

impl Tls13AeadAlgorithm for Resending<&'static dyn Tls13AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Resending(self.0.encrypter(key, iv)))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        self.0.decrypter(key, iv)
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<rustls::ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv)
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

impl MessageEncrypter for Resending<Box<dyn MessageEncrypter>> {
    fn encrypt(
        &mut self,
        mut message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        match message.typ {
            ContentType::ApplicationData if IS_HANDSHAKE.get() => message.typ = ContentType::Handshake,
            ContentType::Handshake => {
                if let Some(ticket) = ticket_in(&message.payload.to_vec()) {
                    ENCRYPTED.set(Some(ticket.to_vec()));
                }
            }
            _ => (),
        }
        self.0.encrypt(message, sequence)
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        self.0.encrypted_payload_len(payload_len)
    }
}

/// The first of the handshake messages in a record, if it is a ticket.
fn ticket_in(record: &[u8]) -> Option<&[u8]> {
    let [TICKET, a, b, c, ..] = *record else { return None };
    let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
    record.get(..HEADER + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_taken_out_of_the_record_that_it_begins() {
        assert_eq!(ticket_in(b"\x04\0\0\x02ab\x04\0\0\x01c"), Some(&b"\x04\0\0\x02ab"[..]));
        for record in [&b"\x04\0\0\x03ab"[..], b"\x04\0\0", b"\x14\0\0\x02ab", b""] {
            assert_eq!(ticket_in(record), None);
        }
    }
}

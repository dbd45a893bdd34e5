//! A ferryd that was built without TLS: the names, and no value of them.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::IpAddr;

use super::{Proof, Pulled};
use crate::config::TlsPolicy;

pub(crate) struct Server(Infallible);

impl Server {
    pub(crate) fn new(_: &TlsPolicy, _: &str) -> io::Result<Server> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this ferryd was built without TLS"))
    }

    pub(crate) fn bind(&self, _: IpAddr) -> Binding {
        match self.0 {}
    }

    pub(crate) fn reload(&self) {}

    pub(crate) fn reload_if_changed(&self) {}

    pub(crate) fn fingerprint(&self) -> Option<String> {
        match self.0 {}
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Binding(Infallible);

impl Binding {
    pub(crate) fn control(&self) -> io::Result<TlsConnection> {
        match self.0 {}
    }

    pub(crate) fn data(&self, _: bool) -> io::Result<TlsConnection> {
        match self.0 {}
    }

    pub(crate) fn seal(&self) {}

    pub(crate) fn has_resumed(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn log_in(&self, _: Option<&str>) {}

    pub(crate) fn log_out(&self) {}
}

#[derive(Debug)]
pub(crate) struct TlsConnection(Infallible);

impl TlsConnection {
    pub(crate) fn is_handshaking(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn proof(&self) -> Proof {
        match self.0 {}
    }

    pub(crate) fn keep_sessions(&self) {}

    pub(crate) fn has_ended(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn wants_write(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn pull(&mut self, _: &mut dyn Read) -> io::Result<Pulled> {
        match self.0 {}
    }

    pub(crate) fn take(&mut self, _: &mut Vec<u8>, _: usize) -> io::Result<usize> {
        match self.0 {}
    }

    pub(crate) fn read(
        &mut self,
        _: &mut dyn FnMut(&mut Vec<u8>) -> io::Result<usize>,
        _: &mut Vec<u8>,
    ) -> io::Result<usize> {
        match self.0 {}
    }

    pub(crate) fn write(&mut self, _: &[u8]) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn write_ticket(&mut self) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn push(&mut self, _: &mut dyn Write) -> io::Result<bool> {
        match self.0 {}
    }

    pub(crate) fn close(&mut self) {}

    pub(crate) fn server_name(&self) -> Option<&str> {
        match self.0 {}
    }

    pub(crate) fn client_names(&self) -> Vec<String> {
        match self.0 {}
    }

    pub(crate) fn describe(&self) -> String {
        match self.0 {}
    }
}

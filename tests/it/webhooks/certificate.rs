//! A certificate for localhost that lives as long as its test, and a client that trusts it alone.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};

use crate::cli::Folder;

pub struct Pair(Folder);

impl Pair {
    /// Nothing where there is no openssl.
    pub fn make(name: &str) -> Option<Self> {
        let pair = Self(Folder::new(name));
        pair.write().then_some(pair)
    }

    fn write(&self) -> bool {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(self.key())
            .arg("-out")
            .arg(self.certificate())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        made.is_ok_and(|status| status.success())
    }

    /// Another certificate with another key in the same files.
    pub fn renew(&self) {
        assert!(self.write());
    }

    pub fn certificate(&self) -> PathBuf {
        self.0.0.join("certificate.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.0.0.join("key.pem")
    }

    pub fn text(&self) -> String {
        std::fs::read_to_string(self.certificate()).unwrap()
    }

    /// Sends a request to whoever shows the present certificate.
    pub fn call(&self, address: SocketAddr, request: &str) -> Result<String, String> {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(self.text().as_bytes()).unwrap();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        let mut stream = Stream::new(&mut connection, &mut socket);
        stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        // A peer may close without a last word.
        let _ = stream.read_to_end(&mut answer);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

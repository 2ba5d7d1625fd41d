//! The certificate of the event service: made at the start, signed by itself, for this machine's own
//! names.

use tonic::transport::{Identity, ServerTlsConfig};

/// A certificate with its key.
#[derive(Clone)]
pub(in crate::sandbox::server) struct Certificate {
    /// In PEM: what a client is to trust.
    pub certificate: String,
    key: String,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

impl Certificate {
    /// A new one.
    pub(in crate::sandbox::server) fn make() -> Result<Self, rcgen::Error> {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names)?;
        Ok(Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() })
    }

    pub(super) fn into_config(self) -> ServerTlsConfig {
        ServerTlsConfig::new().identity(Identity::from_pem(self.certificate, self.key))
    }
}

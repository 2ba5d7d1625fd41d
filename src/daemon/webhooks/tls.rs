//! TLS of the listener's own, with a certificate that is read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Counts;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path} holds no {what} in PEM form (-----BEGIN …-----)")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// The two do not go together, or are of a kind that is not known.
    #[error("{chain} and {key} cannot be used together: {reason}")]
    Mismatch {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A certificate in use, and where it comes from.
pub(super) struct Certificate {
    pub(super) config: RustlsConfig,
    chain: PathBuf,
    key: PathBuf,
}

/// By what a changed file is told: when it was written, and its length.
type Look = [Option<(Timestamp, u64)>; 2];

impl Certificate {
    pub(super) async fn read(chain: PathBuf, key: PathBuf) -> Result<Self, CertificateError> {
        let config = RustlsConfig::from_config(config(&chain, &key).await?);
        Ok(Self { config, chain, key })
    }

    /// Looks at the files every so often, and reads them again when they have changed. Whoever
    /// renews a certificate writes two files, one after the other: until they go together, the
    /// last good pair stays in use.
    pub(super) async fn watch(&self, every: Duration, counts: &Counts) {
        let mut seen = self.look().await;
        loop {
            tokio::time::sleep(every).await;
            let now = self.look().await;
            if now == seen {
                continue;
            }
            seen = now;
            match config(&self.chain, &self.key).await {
                Ok(config) => {
                    self.config.reload_from_config(config);
                    counts.certificate(None);
                    tracing::info!(chain = %self.chain.display(), "the certificate was read again");
                }
                Err(error) => {
                    tracing::warn!(%error, "the last good certificate stays in use");
                    counts.certificate(Some(error.to_string()));
                }
            }
        }
    }

    async fn look(&self) -> Look {
        let mut look = Look::default();
        for (found, path) in look.iter_mut().zip([&self.chain, &self.key]) {
            let data = tokio::fs::metadata(path).await.ok();
            *found = data.and_then(|data| {
                Some((Timestamp::try_from(data.modified().ok()?).ok()?, data.len()))
            });
        }
        look
    }
}

async fn bytes(path: &Path) -> Result<Vec<u8>, CertificateError> {
    tokio::fs::read(path)
        .await
        .map_err(|source| CertificateError::Unreadable { path: path.to_path_buf(), source })
}

async fn config(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>, CertificateError> {
    let unfit = |path: &Path, what| CertificateError::Unfit { path: path.to_path_buf(), what };
    let mismatch = |error: rustls::Error| CertificateError::Mismatch {
        chain: chain.to_path_buf(),
        key: key.to_path_buf(),
        reason: error.to_string(),
    };
    let text = bytes(chain).await?;
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|_| unfit(chain, "certificate"))?;
    if certificates.is_empty() {
        return Err(unfit(chain, "certificate"));
    }
    let private =
        PrivateKeyDer::from_pem_slice(&bytes(key).await?).map_err(|_| unfit(key, "private key"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(mismatch)?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

//! The listener: connections, and how long they may last.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tower::Layer;

use super::tls::{Certificate, CertificateError};
use super::{Receiver, Turned};
use crate::daemon::Engine;
use crate::daemon::control::stopped;
use crate::settings::{Effective, SecretError};

/// How often the certificate's files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Why webhooks cannot be listened for.
#[derive(Debug, thiserror::Error)]
pub enum WebhooksError {
    /// The address cannot be listened on.
    #[error("cannot listen on webhooks.listen = {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// There is no secret to check signatures with.
    #[error("webhooks are signed with the app's client secret: {0}")]
    Secret(#[from] SecretError),
    /// One of the two files is missing.
    #[error("TLS needs both webhooks.certificate_file and webhooks.key_file: {0} is not set")]
    Half(&'static str),
    /// The certificate cannot be used.
    #[error("webhooks.certificate_file and webhooks.key_file: {0}")]
    Certificate(#[from] CertificateError),
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

impl WebhooksError {
    /// What to do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "choose another address, or leave webhooks.listen out",
            Self::Secret(_) => {
                "the client secret stands on the app's page in HubSpot, under Auth; put it into a \
                 file of its own and set webhooks.secret_file to its path"
            }
            Self::Half(_) | Self::Certificate(_) => {
                "give both files in PEM form, the certificate with its chain, or leave both out \
                 behind a proxy that has TLS"
            }
            Self::Random => "see that the system has /dev/urandom",
        }
    }
}

/// An open listener that does not answer yet.
pub struct Door {
    listener: TcpListener,
    receiver: Arc<Receiver>,
    certificate: Option<Arc<Certificate>>,
    connections: usize,
    timeout: Duration,
}

/// Opens the listener that the settings ask for; nothing where they ask for none.
///
/// # Errors
/// Where its address, its secret or its certificate is not as it should be.
pub async fn open(
    effective: &Effective,
    engine: &Arc<Engine>,
) -> Result<Option<Door>, WebhooksError> {
    let settings = &effective.settings.webhooks;
    let Some(address) = settings.listen else { return Ok(None) };
    let own = effective.secret("hubspot_webhook_secret").filter(|own| own.whence().is_some());
    let secret = match own.or_else(|| effective.secret("hubspot_client_secret")) {
        Some(secret) => secret.read()?,
        None => return Err(WebhooksError::Random),
    };
    let certificate = match (&settings.certificate_file, &settings.key_file) {
        (Some(chain), Some(key)) => {
            Some(Arc::new(Certificate::read(chain.clone(), key.clone()).await?))
        }
        (None, None) => None,
        (Some(_), None) => return Err(WebhooksError::Half("webhooks.key_file")),
        (None, Some(_)) => return Err(WebhooksError::Half("webhooks.certificate_file")),
    };
    let app = effective.settings.hubspot.app_id.clone();
    let receiver = Receiver::new(Arc::clone(engine), settings, &secret, app, certificate.is_some())
        .map_err(|_| WebhooksError::Random)?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| WebhooksError::Listen { address, source })?;
    Ok(Some(Door {
        listener,
        receiver: Arc::new(receiver),
        certificate,
        connections: settings.connections as usize,
        timeout: settings.timeout,
    }))
}

impl Door {
    /// Where it listens: the port may have been left to the system.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What takes deliveries in, for callers in this process.
    #[must_use]
    pub fn receiver(&self) -> &Arc<Receiver> {
        &self.receiver
    }

    /// Answers until `stop` holds true; then it lets what is under way come to its end.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) {
        let counts = &self.receiver.engine.webhooks;
        if let Ok(address) = self.address() {
            counts.listening(address);
            tracing::info!(%address, tls = self.certificate.is_some(), "listening for webhooks");
        }
        let gate = Gate {
            places: Arc::new(Semaphore::new(self.connections)),
            receiver: Arc::clone(&self.receiver),
            timeout: self.timeout,
        };
        let handle = Handle::new();
        let service = self.receiver.router().into_make_service_with_connect_info::<SocketAddr>();
        let server = Server::<SocketAddr>::from_listener(self.listener).handle(handle.clone());
        let serving = async {
            match &self.certificate {
                Some(certificate) => {
                    let tls = RustlsAcceptor::new(certificate.config.clone())
                        .handshake_timeout(self.timeout)
                        .acceptor(gate);
                    http1(server.acceptor(tls), self.timeout).serve(service).await
                }
                None => http1(server.acceptor(gate), self.timeout).serve(service).await,
            }
        };
        let watching = async {
            match &self.certificate {
                Some(certificate) => certificate.watch(LOOK, counts).await,
                None => std::future::pending().await,
            }
        };
        let stopping = async {
            stopped(&mut stop).await;
            handle.graceful_shutdown(Some(self.timeout));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = stopping => {}
            () = watching => {}
            served = serving => {
                if let Err(error) = served {
                    tracing::error!(%error, "the listener for webhooks ended");
                }
            }
        }
    }
}

/// HTTP/1.1 alone: HubSpot speaks it, and a connection of it carries one request at a time, which
/// keeps the bounds simple.
fn http1<A>(server: Server<SocketAddr, A>, timeout: Duration) -> Server<SocketAddr, A> {
    let mut server = server.http1_only();
    // Counted from the moment that a head is waited for, so that an idle connection ends as well.
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(timeout);
    server
}

/// Lets so many connections in, and closes the others.
#[derive(Clone)]
struct Gate {
    places: Arc<Semaphore>,
    receiver: Arc<Receiver>,
    timeout: Duration,
}

impl<S> Accept<TcpStream, S> for Gate {
    type Stream = Visit;
    type Service = AddExtension<S, Begun>;
    type Future = std::future::Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let now = self.receiver.engine.clock.now();
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.receiver.engine.webhooks.turned(Turned::Busy, now);
            return std::future::ready(Err(io::ErrorKind::ConnectionRefused.into()));
        };
        // Answers are a few bytes: nothing is gained by waiting for more of them.
        let _ = stream.set_nodelay(true);
        let begun = Begun::default();
        let visit = Visit {
            stream,
            begun: begun.clone(),
            since: Instant::now(),
            gate: self.clone(),
            _place: place,
        };
        std::future::ready(Ok((visit, Extension(begun).layer(service))))
    }
}

/// Whether a whole head has come over a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Begun(Arc<AtomicBool>);

impl Begun {
    pub(super) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection, with its place among those that are let in.
struct Visit {
    stream: TcpStream,
    begun: Begun,
    since: Instant,
    gate: Gate,
    _place: OwnedSemaphorePermit,
}

impl Drop for Visit {
    fn drop(&mut self) {
        // Cut off before it said anything: the library closes such a connection without a word.
        let slow = self.since.elapsed() >= self.gate.timeout;
        if slow && !self.begun.0.load(Ordering::Relaxed) {
            let engine = &self.gate.receiver.engine;
            engine.webhooks.turned(Turned::Slow, engine.clock.now());
        }
    }
}

impl AsyncRead for Visit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Visit {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

//! The sandbox over the network: both routers and the event service on loopback ports, and the
//! sender of webhooks.

mod pubsub;
mod webhooks;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Sandbox;

/// How long a stop waits for answers that are under way. A fault may have a call hang for ever.
const GRACE: Duration = Duration::from_secs(2);

/// Where to listen. Port 0 asks for any free port.
#[derive(Debug, Clone, Copy)]
pub struct ServeOptions {
    /// HubSpot's address.
    pub hubspot: SocketAddr,
    /// Salesforce's address.
    pub salesforce: SocketAddr,
    /// The event service's address, without TLS.
    pub pubsub: SocketAddr,
    /// The event service's address, with TLS.
    pub pubsub_tls: SocketAddr,
    /// Whether webhooks are sent over the network. Not where somebody carries them in process: each
    /// would take deliveries from the other.
    pub webhooks: bool,
}

impl Default for ServeOptions {
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { hubspot: any, salesforce: any, pubsub: any, pubsub_tls: any, webhooks: true }
    }
}

/// Why the sandbox cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can be reached from other machines.
    #[error(
        "the sandbox does not listen on {0}: its admin door has no lock; give it a loopback address \
         such as 127.0.0.1"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be bound.
    #[error("cannot listen on {address}: is another program using this port?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate for the event service")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A sandbox that is being served. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Serving {
    /// Where HubSpot listens.
    pub hubspot: SocketAddr,
    /// Where Salesforce listens.
    pub salesforce: SocketAddr,
    /// Where the event service listens without TLS.
    pub pubsub: SocketAddr,
    /// Where the event service listens with TLS.
    pub pubsub_tls: SocketAddr,
    /// The certificate of the event service, in PEM: what a client is to trust.
    pub certificate: String,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Serving {
    /// HubSpot's base URL.
    #[must_use]
    pub fn hubspot_url(&self) -> String {
        format!("http://{}", self.hubspot)
    }

    /// Salesforce's base URL.
    #[must_use]
    pub fn salesforce_url(&self) -> String {
        format!("http://{}", self.salesforce)
    }

    /// The event service's URL without TLS.
    #[must_use]
    pub fn pubsub_url(&self) -> String {
        pubsub::url(self.pubsub, false)
    }

    /// The event service's URL with TLS.
    #[must_use]
    pub fn pubsub_tls_url(&self) -> String {
        pubsub::url(self.pubsub_tls, true)
    }

    /// Stops listening and waits a moment for answers that are under way.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut self.tasks);
        let ended = async {
            for task in tasks {
                // A task that panicked has ended too.
                let _ = task.await;
            }
        };
        // What still hangs is cut off when the runtime ends.
        let _ = tokio::time::timeout(GRACE, ended).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Serves both platforms, and sends webhooks to the targets that are set, until
/// [`Serving::shutdown`].
///
/// # Errors
/// When an address is not a loopback address or cannot be bound.
pub async fn serve(sandbox: Sandbox, options: ServeOptions) -> Result<Serving, ServeError> {
    let certificate = pubsub::tls::Certificate::make()
        .map_err(|error| ServeError::Certificate(Box::new(error)))?;
    let hubspot = listen(options.hubspot).await?;
    let salesforce = listen(options.salesforce).await?;
    let plain = listen(options.pubsub).await?;
    let tls = listen(options.pubsub_tls).await?;
    let (stop, stopped) = watch::channel(false);
    let at = |listener: &TcpListener, wanted| listener.local_addr().unwrap_or(wanted);
    let mut serving = Serving {
        hubspot: at(&hubspot, options.hubspot),
        salesforce: at(&salesforce, options.salesforce),
        pubsub: at(&plain, options.pubsub),
        pubsub_tls: at(&tls, options.pubsub_tls),
        certificate: certificate.certificate.clone(),
        stop,
        tasks: Vec::new(),
    };
    sandbox.world().salesforce.record_events();
    serving.tasks = vec![
        tokio::spawn(run(hubspot, sandbox.hubspot(), stopped.clone())),
        tokio::spawn(run(salesforce, sandbox.salesforce(), stopped.clone())),
        tokio::spawn(pubsub::run(plain, sandbox.clone(), None, stopped.clone())),
        tokio::spawn(pubsub::run(tls, sandbox.clone(), Some(certificate), stopped.clone())),
    ];
    if options.webhooks {
        serving.tasks.push(tokio::spawn(webhooks::run(sandbox, stopped)));
    }
    Ok(serving)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    TcpListener::bind(address).await.map_err(|source| ServeError::Bind { address, source })
}

async fn run(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    // Without it each small answer waits for the peer's delayed acknowledgement, some 40 ms.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
    });
    let stopped = async move {
        // An error means that the sender is gone, which is a stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the sandbox stopped serving");
    }
}

#[cfg(test)]
mod tests;

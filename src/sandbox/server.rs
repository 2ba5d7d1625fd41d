//! Both routers on loopback ports, and the admin door that they share.

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
}

impl Default for ServeOptions {
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { hubspot: any, salesforce: any }
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
}

/// A sandbox that is being served. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Serving {
    /// Where HubSpot listens.
    pub hubspot: SocketAddr,
    /// Where Salesforce listens.
    pub salesforce: SocketAddr,
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

/// Serves both platforms until [`Serving::shutdown`].
///
/// # Errors
/// When an address is not a loopback address or cannot be bound.
pub async fn serve(sandbox: Sandbox, options: ServeOptions) -> Result<Serving, ServeError> {
    let hubspot = listen(options.hubspot).await?;
    let salesforce = listen(options.salesforce).await?;
    let (stop, _) = watch::channel(false);
    let addresses = (
        hubspot.local_addr().unwrap_or(options.hubspot),
        salesforce.local_addr().unwrap_or(options.salesforce),
    );
    let tasks = vec![
        tokio::spawn(run(hubspot, sandbox.hubspot(), stop.subscribe())),
        tokio::spawn(run(salesforce, sandbox.salesforce(), stop.subscribe())),
    ];
    Ok(Serving { hubspot: addresses.0, salesforce: addresses.1, stop, tasks })
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

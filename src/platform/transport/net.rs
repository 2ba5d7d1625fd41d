//! The network behind the seam.

use std::error::Error as _;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::{Http, LARGEST_BODY, NetError};

/// How the network is used.
#[derive(Debug, Clone)]
pub struct NetSettings {
    /// The longest that making a connection may take, TLS included.
    pub connect: Duration,
    /// The longest that one request may take, from the first byte sent to the last received.
    /// HubSpot's edge itself gives up after 100 seconds (status 524).
    pub total: Duration,
    /// Certificates, as PEM, that are trusted besides the machine's own: a proxy that looks into
    /// TLS, or a test server.
    pub extra_roots: Vec<Vec<u8>>,
}

impl Default for NetSettings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            total: Duration::from_secs(60),
            extra_roots: Vec::new(),
        }
    }
}

/// The network.
#[derive(Debug, Clone)]
pub struct Net(reqwest::Client);

/// Makes ring the TLS provider of this process. Repeating it does nothing.
pub fn install_crypto() {
    // The error says that a provider is installed already, which is what was wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Net {
    /// A client with its own pool of connections. Certificates are checked against the machine's
    /// trust store and `settings.extra_roots`.
    ///
    /// # Errors
    /// Where a certificate cannot be read, or the machine has no trust store and none was given.
    pub fn new(settings: &NetSettings) -> Result<Self, NetError> {
        install_crypto();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect)
            .timeout(settings.total)
            // Neither API redirects, and a redirect would carry the token to another host.
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(60));
        for pem in &settings.extra_roots {
            let roots = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| NetError::not_sent(format!("a trusted certificate: {error}")))?;
            for root in roots {
                builder = builder.add_root_certificate(root);
            }
        }
        let client = builder.build().map_err(|error| {
            NetError::not_sent(format!(
                "setting up TLS: {} (install the machine's CA certificates, usually the package \
                 ca-certificates, or name a bundle in SSL_CERT_FILE)",
                chain(error)
            ))
        })?;
        Ok(Self(client))
    }
}

#[async_trait]
impl Http for Net {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        let request = reqwest::Request::try_from(request)
            .map_err(|error| NetError::not_sent(chain(error)))?;
        let mut response = self.0.execute(request).await.map_err(net_error)?;
        let mut answer = http::Response::new(Bytes::new());
        *answer.status_mut() = response.status();
        *answer.version_mut() = response.version();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(net_error)? {
            if body.len() + chunk.len() > LARGEST_BODY {
                return Err(NetError::unclear(format!("the answer is over {LARGEST_BODY} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        *answer.body_mut() = body.freeze();
        Ok(answer)
    }
}

fn net_error(error: reqwest::Error) -> NetError {
    if error.is_connect() || error.is_builder() {
        NetError::not_sent(chain(error))
    } else if error.is_timeout() {
        NetError::unclear("no answer within the time limit")
    } else {
        NetError::unclear(chain(error))
    }
}

/// The error with its causes and without its URL, which may hold an address.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::Reach;
    use super::*;

    fn request(uri: String) -> http::Request<Bytes> {
        http::Request::get(uri).body(Bytes::new()).unwrap()
    }

    fn quick() -> Net {
        Net::new(&NetSettings { total: Duration::from_millis(300), ..NetSettings::default() })
            .unwrap()
    }

    /// Answers every connection with `answer` as it is, then closes.
    async fn raw(answer: &'static [u8]) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut buffer = [0; 4096];
                let _ = socket.read(&mut buffer).await;
                let _ = socket.write_all(answer).await;
            }
        });
        format!("http://{address}/x")
    }

    #[tokio::test]
    async fn an_answer_comes_whole_and_is_not_followed() {
        let router = axum::Router::new()
            .route("/a", get(|| async { ([("x-id", "7")], "hello") }))
            .route("/r", get(|| async { (http::StatusCode::FOUND, [("location", "/a")], "") }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let net = quick();
        let answer = net.call(request(format!("http://{address}/a"))).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-id"], "7");
        assert_eq!(answer.body(), "hello");
        let answer = net.call(request(format!("http://{address}/r"))).await.unwrap();
        assert_eq!(answer.status(), 302);
    }

    #[tokio::test]
    async fn what_may_have_arrived_is_told_from_what_did_not() {
        let closed = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            format!("http://{}/x?email=anna@example.com", listener.local_addr().unwrap())
        };
        let cases = [
            ("nobody listens", closed, Reach::NotSent),
            ("closed without a word", raw(b"").await, Reach::Unclear),
            (
                "cut in the body",
                raw(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"resu").await,
                Reach::Unclear,
            ),
            ("no HTTP", raw(b"+PONG\r\n").await, Reach::Unclear),
        ];
        for (name, uri, reach) in cases {
            let error = quick().call(request(uri)).await.unwrap_err();
            assert_eq!(error.reach, reach, "{name}: {error}");
            assert!(!error.what.contains("anna"), "{name}: {error}");
        }
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let error = quick().call(request(format!("http://{address}/x"))).await.unwrap_err();
        assert_eq!(error, NetError::unclear("no answer within the time limit"));
    }
}

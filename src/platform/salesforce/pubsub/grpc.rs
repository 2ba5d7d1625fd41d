//! The Pub/Sub API over the network.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use http::uri::PathAndQuery;
use secrecy::ExposeSecret;
use tokio::sync::mpsc;
use tonic::client::Grpc as Caller;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use url::Url;

use super::wire::{
    FetchRequest, FetchResponse, ReplayPreset, SchemaInfo, SchemaRequest, TopicInfo, TopicRequest,
};
use super::{
    EventBus, EventStream, Fetched, RawEvent, Replay, ReplayId, Session, StreamError, Topic,
};
use crate::platform::transport::{install_crypto, redact};

/// The largest answer that is taken in. Salesforce advises 3 MB for a batch and allows 1 MB an
/// event; tonic's own limit of 4 MB is too close.
const LARGEST: usize = 32 << 20;

/// The requests for more events that wait to be sent: one for each answer at most.
const REQUESTS: usize = 128;

/// How the network is used.
#[derive(Debug, Clone)]
pub struct GrpcSettings {
    /// Where the Pub/Sub API is. Plain `http` is for a sandbox on this machine.
    pub url: Url,
    /// Certificates, as PEM, that are trusted besides the machine's own.
    pub extra_roots: Vec<u8>,
    /// How often the connection is pinged. Half-open connections behind NAT go quiet without it.
    pub ping: Duration,
    /// How long an answer to a ping, a connection or a single call may take.
    pub patience: Duration,
}

impl GrpcSettings {
    /// The defaults, for the API at `url`.
    #[must_use]
    pub fn at(url: Url) -> Self {
        Self {
            url,
            extra_roots: Vec::new(),
            ping: Duration::from_secs(30),
            patience: Duration::from_secs(20),
        }
    }
}

/// The Pub/Sub API. Its streams share one connection, which is made when it is first needed and
/// made anew when it broke.
#[derive(Debug, Clone)]
pub struct Grpc {
    channel: Channel,
    patience: Duration,
}

impl Grpc {
    /// Prepares the connection; nothing is sent yet. Has to be called within a runtime.
    ///
    /// # Errors
    /// Where the address or a certificate is none.
    pub fn new(settings: &GrpcSettings) -> Result<Self, StreamError> {
        install_crypto();
        let wrong = |why: tonic::transport::Error| {
            StreamError::broken(format!("setting up the connection: {}", chain(&why)))
        };
        let mut endpoint = Endpoint::from_shared(settings.url.as_str().to_owned())
            .map_err(wrong)?
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
            .map_err(wrong)?
            .connect_timeout(settings.patience)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(settings.ping))
            .http2_keep_alive_interval(settings.ping)
            .keep_alive_timeout(settings.patience)
            .keep_alive_while_idle(true);
        if settings.url.scheme() == "https" {
            let mut tls = ClientTlsConfig::new().with_native_roots();
            if !settings.extra_roots.is_empty() {
                tls = tls.ca_certificate(Certificate::from_pem(&settings.extra_roots));
            }
            endpoint = endpoint.tls_config(tls).map_err(wrong)?;
        }
        Ok(Self { channel: endpoint.connect_lazy(), patience: settings.patience })
    }

    fn caller(&self) -> Caller<Channel> {
        Caller::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }

    async fn unary<Q, A>(
        &self,
        session: &Session,
        path: &'static str,
        question: Q,
    ) -> Result<A, StreamError>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let request = signed(session, question)?;
        let call = async {
            let mut caller = self.caller();
            caller.ready().await.map_err(|why| StreamError::broken(chain(&why)))?;
            let codec = ProstCodec::<Q, A>::default();
            let answer: Result<Response<A>, Status> =
                caller.unary(request, PathAndQuery::from_static(path), codec).await;
            answer.map(Response::into_inner).map_err(|status| told(&status))
        };
        tokio::time::timeout(self.patience, call)
            .await
            .unwrap_or_else(|_| Err(StreamError::broken("no answer within the time limit")))
    }
}

/// A request with what every call carries.
fn signed<T>(session: &Session, message: T) -> Result<Request<T>, StreamError> {
    let mut request = Request::new(message);
    let mut set = |name: &'static str, text: &str, secret: bool| {
        let mut value = MetadataValue::<Ascii>::try_from(text)
            .map_err(|_| StreamError::broken(format!("{name} cannot be sent in a header")))?;
        value.set_sensitive(secret);
        request.metadata_mut().insert(name, value);
        Ok(())
    };
    set("accesstoken", session.token.expose_secret(), true)?;
    set("instanceurl", &session.instance, false)?;
    set("tenantid", &session.tenant, false)?;
    Ok(request)
}

#[async_trait]
impl EventBus for Grpc {
    async fn topic(&self, session: &Session, name: &str) -> Result<Topic, StreamError> {
        let question = TopicRequest { topic_name: name.to_owned() };
        let topic: TopicInfo =
            self.unary(session, "/eventbus.v1.PubSub/GetTopic", question).await?;
        Ok(Topic {
            name: topic.topic_name,
            can_subscribe: topic.can_subscribe,
            schema_id: topic.schema_id,
        })
    }

    async fn schema(&self, session: &Session, id: &str) -> Result<String, StreamError> {
        let question = SchemaRequest { schema_id: id.to_owned() };
        let schema: SchemaInfo =
            self.unary(session, "/eventbus.v1.PubSub/GetSchema", question).await?;
        Ok(schema.schema_json)
    }

    async fn subscribe(
        &self,
        session: &Session,
        topic: &str,
        from: &Replay,
        count: u32,
    ) -> Result<Box<dyn EventStream>, StreamError> {
        let (preset, replay_id) = match from {
            Replay::Latest => (ReplayPreset::Latest, Vec::new()),
            Replay::Earliest => (ReplayPreset::Earliest, Vec::new()),
            Replay::After(ReplayId(id)) => (ReplayPreset::Custom, id.clone()),
        };
        let first = FetchRequest {
            topic_name: topic.to_owned(),
            replay_preset: preset.into(),
            replay_id,
            num_requested: count_of(count),
            auth_refresh: String::new(),
        };
        let (ask, asked) = mpsc::channel(REQUESTS);
        ask.try_send(first).map_err(|_| StreamError::broken("the stream has ended"))?;
        let requests = futures_util::stream::unfold(asked, |mut asked| async move {
            asked.recv().await.map(|request| (request, asked))
        });
        let request = signed(session, requests)?;
        let mut caller = self.caller();
        let opening = async move {
            caller.ready().await.map_err(|why| StreamError::broken(chain(&why)))?;
            let path = PathAndQuery::from_static("/eventbus.v1.PubSub/Subscribe");
            let codec = ProstCodec::<FetchRequest, FetchResponse>::default();
            let answer = caller.streaming(request, path, codec).await;
            answer.map(Response::into_inner).map_err(|status| told(&status))
        };
        Ok(Box::new(GrpcStream { ask, state: State::Opening(Box::pin(opening)) }))
    }
}

fn count_of(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A subscription. A server may keep its first word back until there is something to say, so the
/// stream is open before anyone knows.
struct GrpcStream {
    ask: mpsc::Sender<FetchRequest>,
    state: State,
}

enum State {
    Opening(BoxFuture<'static, Result<Streaming<FetchResponse>, StreamError>>),
    Open(Box<Streaming<FetchResponse>>),
    Ended(StreamError),
}

#[async_trait]
impl EventStream for GrpcStream {
    async fn request(&mut self, count: u32) -> Result<(), StreamError> {
        let more = FetchRequest { num_requested: count_of(count), ..FetchRequest::default() };
        self.ask.send(more).await.map_err(|_| StreamError::broken("the stream has ended"))
    }

    async fn next(&mut self) -> Result<Fetched, StreamError> {
        loop {
            match &mut self.state {
                State::Opening(opening) => {
                    self.state = match opening.await {
                        Ok(stream) => State::Open(Box::new(stream)),
                        Err(error) => State::Ended(error),
                    }
                }
                State::Open(stream) => match stream.message().await {
                    Ok(Some(response)) => return Ok(fetched(response)),
                    Ok(None) => {
                        let end = StreamError::broken("the server ended the stream");
                        self.state = State::Ended(end);
                    }
                    Err(status) => self.state = State::Ended(told(&status)),
                },
                State::Ended(error) => return Err(error.clone()),
            }
        }
    }
}

fn fetched(response: FetchResponse) -> Fetched {
    let events = response
        .events
        .into_iter()
        .filter_map(|consumer| {
            let event = consumer.event?;
            Some(RawEvent {
                id: event.id,
                schema_id: event.schema_id,
                payload: event.payload,
                replay: ReplayId(consumer.replay_id),
            })
        })
        .collect();
    Fetched {
        events,
        latest: ReplayId(response.latest_replay_id),
        pending: u32::try_from(response.pending_num_requested).unwrap_or(0),
    }
}

/// What a status says. Its details stand in the trailers.
fn told(status: &Status) -> StreamError {
    let trailer = |name: &str| {
        let value = status.metadata().get(name)?.to_str().ok()?;
        Some(value.trim_matches(['[', ']']).to_owned()).filter(|text| !text.is_empty())
    };
    let message = match status.message() {
        "" => format!("status {:?}", status.code()),
        message => redact(message),
    };
    StreamError {
        status: status.code().into(),
        code: trailer("error-code"),
        message,
        rpc_id: trailer("rpc-id"),
    }
}

/// The error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

//! The event bus over gRPC: the Pub/Sub API's service `eventbus.v1.PubSub`.
//!
//! The service is written by hand, message by message, so that no build needs a compiler for
//! protocol files, and shares nothing with the client that it tests. What it does not model
//! (publishing, managed subscriptions) it refuses as unimplemented and counts.

pub(super) mod messages;
pub(super) mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use http_body_util::{BodyStream, StreamBody};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::server::{Grpc, NamedService};
use tonic::transport::server::{Router, Server, TcpIncoming};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::Sandbox;
use crate::sandbox::fault::Side;
use crate::sandbox::salesforce::bus::{self, BusError, Caller, Next, Preset, Subscription};
use messages::{
    ConsumerEvent, FetchRequest, FetchResponse, ProducerEvent, PublishRequest, PublishResponse,
    SchemaInfo, SchemaRequest, TopicInfo, TopicRequest,
};

/// How soon a stream looks again where nobody said that there is something new: the world may have
/// been changed in process, or the clock set ahead.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Serves until `stop` holds true. With an identity it serves TLS.
pub(super) async fn run(
    listener: TcpListener,
    sandbox: Sandbox,
    identity: Option<tls::Certificate>,
    mut stop: watch::Receiver<bool>,
) {
    let service = PubSub { sandbox, stop: stop.clone() };
    let router = match router(service, identity) {
        Ok(router) => router,
        Err(error) => {
            tracing::error!(%error, "the sandbox cannot serve TLS");
            return;
        }
    };
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let stopped = async move {
        // An error means that the sender is gone, which is a stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = router.serve_with_incoming_shutdown(incoming, stopped).await {
        tracing::error!(%error, "the sandbox stopped serving events");
    }
}

fn router(
    service: PubSub,
    identity: Option<tls::Certificate>,
) -> Result<Router, tonic::transport::Error> {
    // One connection may carry any number of streams: the default allows 200.
    let mut server = Server::builder().max_concurrent_streams(Some(100_000));
    if let Some(certificate) = identity {
        server = server.tls_config(certificate.into_config())?;
    }
    Ok(server.add_service(service))
}

/// The service behind one port.
#[derive(Debug, Clone)]
struct PubSub {
    sandbox: Sandbox,
    stop: watch::Receiver<bool>,
}

impl NamedService for PubSub {
    const NAME: &'static str = "eventbus.v1.PubSub";
}

impl tower::Service<http::Request<Body>> for PubSub {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}

impl PubSub {
    async fn answer(self, request: http::Request<Body>) -> http::Response<Body> {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        match method.as_str() {
            "GetTopic" => {
                let work = tower::service_fn(move |request: Request<TopicRequest>| {
                    let answer = self.topic(&request);
                    async move { answer.map(Response::new) }
                });
                let codec = ProstCodec::<TopicInfo, TopicRequest>::default();
                Grpc::new(codec).unary(work, request).await
            }
            "GetSchema" => {
                let work = tower::service_fn(move |request: Request<SchemaRequest>| {
                    let answer = self.schema(&request);
                    async move { answer.map(Response::new) }
                });
                let codec = ProstCodec::<SchemaInfo, SchemaRequest>::default();
                Grpc::new(codec).unary(work, request).await
            }
            "Subscribe" => {
                let work = tower::service_fn(move |request: Request<Streaming<FetchRequest>>| {
                    let stream = self.clone().subscribe(request);
                    async move { Ok::<_, Status>(Response::new(stream)) }
                });
                let codec = ProstCodec::<FetchResponse, FetchRequest>::default();
                Grpc::new(codec).streaming(work, request).await.map(cut_where_marked)
            }
            other => {
                self.sandbox.world().calls.push(Side::Salesforce, other, "not modelled");
                let refusal = format!("the sandbox does not model {other}");
                let work = tower::service_fn(move |_: Request<PublishRequest>| {
                    let refusal = Status::unimplemented(refusal.clone());
                    async move { Err::<Response<PublishResponse>, _>(refusal) }
                });
                let codec = ProstCodec::<PublishResponse, PublishRequest>::default();
                Grpc::new(codec).unary(work, request).await
            }
        }
    }

    fn topic(&self, request: &Request<TopicRequest>) -> Result<TopicInfo, Status> {
        let caller = caller(request.metadata());
        let now = self.sandbox.clock().now();
        let name = &request.get_ref().topic_name;
        let topic = self.sandbox.world().event_topic(&caller, name, now);
        let topic = topic.map_err(|error| told(error, "GetTopic"))?;
        Ok(TopicInfo {
            topic_name: topic.name,
            tenant_guid: topic.tenant_guid,
            can_publish: false,
            can_subscribe: true,
            schema_id: topic.schema_id,
            rpc_id: topic.rpc_id,
        })
    }

    fn schema(&self, request: &Request<SchemaRequest>) -> Result<SchemaInfo, Status> {
        let caller = caller(request.metadata());
        let now = self.sandbox.clock().now();
        let id = &request.get_ref().schema_id;
        let schema = self.sandbox.world().event_schema(&caller, id, now);
        let schema = schema.map_err(|error| told(error, "GetSchema"))?;
        Ok(SchemaInfo { schema_json: schema.json, schema_id: schema.id, rpc_id: schema.rpc_id })
    }

    fn subscribe(self, request: Request<Streaming<FetchRequest>>) -> Responses {
        let caller = caller(request.metadata());
        let open = Open {
            sandbox: self.sandbox,
            stop: self.stop,
            caller,
            requests: request.into_inner(),
            subscription: None,
            ended: false,
        };
        Box::pin(unfold(open, |mut open| async move {
            let said = open.say().await?;
            open.ended = said.is_err();
            Some((said, open))
        }))
    }
}

type Responses = Pin<Box<dyn Stream<Item = Result<FetchResponse, Status>> + Send>>;

/// One stream of a client.
struct Open {
    sandbox: Sandbox,
    stop: watch::Receiver<bool>,
    caller: Caller,
    requests: Streaming<FetchRequest>,
    subscription: Option<Subscription>,
    ended: bool,
}

impl Open {
    /// The next thing to say; `None` ends the stream in order.
    async fn say(&mut self) -> Option<Result<FetchResponse, Status>> {
        if self.ended {
            return None;
        }
        if self.subscription.is_none() {
            let first = tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return Some(Err(stopping())),
                first = self.requests.message() => first.ok().flatten()?,
            };
            let now = self.sandbox.clock().now();
            let opened = self.sandbox.world().event_subscribe(&self.caller, &wanted(first), now);
            match opened {
                Ok(subscription) => self.subscription = Some(subscription),
                Err(error) => return Some(Err(told(error, "Subscribe"))),
            }
        }
        let Self { sandbox, stop, requests, subscription, .. } = self;
        let subscription = subscription.as_mut()?;
        loop {
            // Before the look: what comes between look and wait must not be missed.
            let news = sandbox.news();
            let now = sandbox.clock().now();
            let next = subscription.next(&mut sandbox.world(), now);
            let until = match next {
                Next::Response(response) => return Some(Ok(written(response))),
                Next::Failed(error) => return Some(Err(told(error, "Subscribe"))),
                Next::Closed => return None,
                Next::Wait(until) => until,
            };
            let left = until.map(|at| at.duration_since(now).unsigned_abs());
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Some(Err(stopping())),
                request = requests.message() => match request {
                    Ok(Some(request)) => {
                        let now = sandbox.clock().now();
                        let mut world = sandbox.world();
                        if let Err(error) = subscription.request(&mut world, &wanted(request), now) {
                            return Some(Err(told(error, "Subscribe")));
                        }
                    }
                    // The client is done, or gone.
                    Ok(None) | Err(_) => return None,
                },
                () = news => {}
                () = tokio::time::sleep(left.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)) => {}
            }
        }
    }
}

fn caller(metadata: &MetadataMap) -> Caller {
    let text = |name: &str| {
        metadata.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    Caller {
        access_token: text("accesstoken"),
        instance_url: text("instanceurl"),
        tenant_id: text("tenantid"),
    }
}

fn wanted(request: FetchRequest) -> bus::FetchRequest {
    bus::FetchRequest {
        topic_name: request.topic_name,
        replay_preset: match request.replay_preset {
            1 => Preset::Earliest,
            2 => Preset::Custom,
            _ => Preset::Latest,
        },
        replay_id: request.replay_id,
        num_requested: request.num_requested,
    }
}

fn written(response: bus::FetchResponse) -> FetchResponse {
    let events = response.events.into_iter().map(|event| ConsumerEvent {
        event: Some(ProducerEvent {
            id: event.id,
            schema_id: event.schema_id,
            payload: event.payload,
            headers: Vec::new(),
        }),
        replay_id: event.replay_id.to_vec(),
    });
    FetchResponse {
        events: events.collect(),
        latest_replay_id: response.latest_replay_id.to_vec(),
        rpc_id: response.rpc_id,
        pending_num_requested: response.pending_num_requested,
    }
}

/// The trailer, never sent, that asks for the stream to be reset in its place.
const CUT: &str = "sandbox-cut";

/// Breaks a stream off without trailers where its status asks for that.
fn cut_where_marked(body: Body) -> Body {
    let frames = BodyStream::new(body).map(|frame| match frame {
        Ok(frame) if frame.trailers_ref().is_some_and(|trailers| trailers.contains_key(CUT)) => {
            Err(Status::internal("the stream is cut"))
        }
        other => other,
    });
    Body::new(StreamBody::new(frames))
}

/// The status of a refusal, with the trailers that say what it really is.
fn told(error: BusError, rpc: &'static str) -> Status {
    let mut metadata = MetadataMap::new();
    let mut add = |name: &'static str, text: &str| {
        if let Ok(value) = MetadataValue::try_from(text) {
            metadata.insert(name, value);
        }
    };
    match error.code {
        Some(code) => {
            add("error-code", &code);
            add("rpc-id", &error.rpc_id);
            add("type", rpc);
        }
        None => add(CUT, "1"),
    }
    Status::with_metadata(Code::from_i32(error.status), error.message, metadata)
}

fn stopping() -> Status {
    Status::unavailable("the sandbox stops")
}

/// Where the service listens, as clients name it.
pub(super) fn url(address: SocketAddr, tls: bool) -> String {
    // A certificate is for names: libraries of old do not check addresses.
    if tls { format!("https://localhost:{}", address.port()) } else { format!("http://{address}") }
}

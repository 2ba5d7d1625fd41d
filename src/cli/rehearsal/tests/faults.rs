//! Answers that are lost and writes that would be late, with people who go on editing.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use super::*;
use crate::platform::transport::NetError;
use crate::sandbox::salesforce::id::Id;

/// A network on which things happen to writes.
struct Wire {
    inner: InProcess,
    /// So many answers to writes get lost.
    lose: AtomicU32,
    /// So many writes are put off by a 429 that asks for ten seconds.
    put_off: AtomicU32,
}

fn spent(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl Http for Wire {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, NetError> {
        let path = request.uri().path();
        let writes = request.method() == http::Method::PATCH
            || path.ends_with("/batch/update")
            || path.ends_with("/batch/upsert");
        if writes && spent(&self.put_off) {
            let body = r#"{"status":"error","message":"You have reached your ten_secondly_rolling limit.","errorType":"RATE_LIMIT","policyName":"TEN_SECONDLY_ROLLING"}"#;
            let answer = Response::builder().status(429).header("retry-after", "10");
            return Ok(answer.body(Bytes::from(body)).unwrap());
        }
        let answer = self.inner.call(request).await;
        if writes && spent(&self.lose) {
            return Err(NetError::unclear("the connection broke"));
        }
        answer
    }
}

/// One person, known to both sides.
struct Stage {
    sandbox: Sandbox,
    engine: Engine,
    wires: PerSide<Arc<Wire>>,
    contact: u64,
    lead: Id,
    user: Id,
}

impl Stage {
    async fn start() -> Self {
        let mut wires = None;
        let (sandbox, engine) = start_through(Options::default(), |sandbox| {
            let wire = |router| {
                let (lose, put_off) = (AtomicU32::new(0), AtomicU32::new(0));
                Arc::new(Wire { inner: InProcess::new(router), lose, put_off })
            };
            let both = PerSide {
                hubspot: wire(sandbox.hubspot()),
                salesforce: wire(sandbox.salesforce()),
            };
            let http = PerSide {
                hubspot: Arc::<Wire>::clone(&both.hubspot) as Arc<dyn Http>,
                salesforce: Arc::<Wire>::clone(&both.salesforce) as Arc<dyn Http>,
            };
            wires = Some(both);
            connect(http, addresses(), &Clients::default()).unwrap()
        });
        let values = [
            ("email", "ada@example.com"),
            ("lastname", "King"),
            ("lifecyclestage", "marketingqualifiedlead"),
            ("phone", "1"),
            ("qualified_because", "first"),
        ];
        let at = sandbox.clock().now();
        let contact = sandbox
            .world()
            .hubspot
            .create_as_user(Object::Contact, &values, FIRST_USER, at)
            .unwrap();
        engine.start().await.unwrap();
        pass(&engine).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        pass(&engine).await;
        let (lead, user) = {
            let world = sandbox.world();
            let lead = world.salesforce.records("Lead").next().unwrap().id.clone();
            (lead, world.salesforce.staff.sales[0].clone())
        };
        Self { sandbox, engine, wires: wires.unwrap(), contact, lead, user }
    }

    fn in_hubspot(&self, name: &str, value: &str) {
        let at = self.sandbox.clock().now();
        let mut world = self.sandbox.world();
        world
            .hubspot
            .edit_as_user(Object::Contact, self.contact, &[(name, value)], FIRST_USER, at)
            .unwrap();
    }

    fn in_salesforce(&self, name: &str, value: &str) {
        let at = self.sandbox.clock().now();
        let mut world = self.sandbox.world();
        let edit = map(json!({name: value}));
        world.salesforce.person_edits(at, &self.user, &self.lead, &edit).unwrap();
    }

    /// What the sides hold of a field.
    fn both(&self, hubspot: &str, salesforce: &str) -> PerSide<Option<String>> {
        let world = self.sandbox.world();
        let lead = world.salesforce.records("Lead").next().unwrap();
        PerSide {
            hubspot: world.hubspot.value(Object::Contact, self.contact, hubspot),
            salesforce: lead.text(salesforce).map(str::to_owned),
        }
    }

    /// Lets changes become visible, and takes them in without waiting for what is put off.
    async fn turn(&self) -> crate::daemon::Settled {
        tokio::time::sleep(Duration::from_secs(20)).await;
        self.engine.listen().await.unwrap();
        self.engine.settle_all(Duration::from_secs(2)).await.unwrap()
    }

    /// How often a settlement in line has failed.
    async fn failures(&self) -> Vec<u32> {
        let line = self.engine.journal.pending_page(None, 10).await.unwrap();
        line.iter().map(|entry| entry.attempts).collect()
    }

    /// The lines of history of a field that tell a write, oldest first: side, new value, rule.
    async fn told(&self, field: &str) -> Vec<String> {
        let lines = self.engine.journal.all_history(None, 1_000).await.unwrap();
        let of_field = lines.iter().filter(|line| line.field == field);
        of_field
            .filter_map(|line| Some(format!("{} {} {}", line.side?, line.new.as_ref()?, line.rule)))
            .collect()
    }
}

/// Our write of a person's value takes effect and its answer is lost; before the next settlement the
/// same person goes on, on the side where the value came from.
#[tokio::test(start_paused = true)]
async fn an_edit_after_a_lost_answer_is_no_conflict() {
    let stage = Stage::start().await;
    stage.wires.salesforce.lose.store(1, Ordering::Relaxed);
    stage.in_hubspot("phone", "2");
    let settled = stage.turn().await;
    assert_eq!(settled.postponed, 1, "{settled:?}");
    let landed = stage.both("phone", "Phone");
    assert_eq!(landed.salesforce.as_deref(), Some("2"));
    stage.in_hubspot("phone", "3");
    stage.turn().await;
    let both = stage.both("phone", "Phone");
    assert_eq!(both, PerSide { hubspot: Some("3".into()), salesforce: Some("3".into()) });
    assert_eq!(stage.engine.journal.conflicts(None, None, 10).await.unwrap(), []);
    assert_eq!(
        stage.told("phone").await,
        ["Salesforce 2 one side changed", "Salesforce 3 one side changed"]
    );
}

/// The same, but the person edits the very field that we wrote: that our value was there in between
/// is told by HubSpot's versions.
#[tokio::test(start_paused = true)]
async fn an_edit_over_a_write_without_an_answer_wins() {
    let stage = Stage::start().await;
    stage.wires.hubspot.lose.store(1, Ordering::Relaxed);
    stage.in_salesforce("Phone", "2");
    stage.turn().await;
    assert_eq!(stage.both("phone", "Phone").hubspot.as_deref(), Some("2"));
    stage.in_hubspot("phone", "3");
    stage.turn().await;
    let both = stage.both("phone", "Phone");
    assert_eq!(both, PerSide { hubspot: Some("3".into()), salesforce: Some("3".into()) });
    assert_eq!(
        stage.told("phone").await,
        ["HubSpot 2 one side changed", "Salesforce 3 one side changed"]
    );
}

/// A write that is not to be had within two seconds is decided anew, with what people have entered
/// meanwhile, and the other side's is not kept waiting for it.
#[tokio::test(start_paused = true)]
async fn a_write_that_would_be_late_is_decided_anew() {
    let stage = Stage::start().await;
    stage.wires.hubspot.put_off.store(1, Ordering::Relaxed);
    stage.in_hubspot("qualified_because", "second");
    stage.in_salesforce("Phone", "2");
    tokio::time::sleep(Duration::from_secs(20)).await;
    stage.engine.listen().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = tokio::time::Instant::now();
    let settled = stage.engine.settle_due().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!((settled.written.salesforce, settled.written.hubspot), (1, 0), "{settled:?}");
    let written = stage.both("qualified_because", "Qualified_Because__c").salesforce;
    assert_eq!(written.as_deref(), Some("second"));
    assert_eq!(stage.failures().await, [0]);
    stage.in_salesforce("Phone", "3");
    tokio::time::sleep(Duration::from_secs(10)).await;
    stage.turn().await;
    let both = stage.both("phone", "Phone");
    assert_eq!(both, PerSide { hubspot: Some("3".into()), salesforce: Some("3".into()) });
    assert_eq!(stage.told("phone").await, ["HubSpot 3 one side changed"]);
    assert_eq!(stage.failures().await, Vec::<u32>::new());
}

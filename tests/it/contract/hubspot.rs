//! HubSpot's side of the contract.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lockstep::platform::Platform;
use lockstep::platform::hubspot::{HubSpot, Settings};
use lockstep::platform::transport::{Http, InProcess, Net, NetSettings, StaticToken};
use lockstep::sandbox::fault::Side as FaultSide;
use lockstep::sandbox::hubspot::oauth::PRIVATE_TOKEN;
use lockstep::sandbox::hubspot::object::Object;
use lockstep::sandbox::hubspot::properties::Property;
use lockstep::sandbox::hubspot::ui::FIRST_USER;
use lockstep::sandbox::server::{ServeOptions, serve};
use lockstep::sandbox::{Sandbox, SandboxClock};
use secrecy::SecretString;

use super::{Names, Scene, contract};

const NAMES: Names = Names {
    object: "contacts",
    key: "salesforce_id",
    email: "email",
    last_name: "lastname",
    title: "jobtitle",
    score: "score",
    choice: "hs_lead_status",
    choices: ["OPEN", "IN_PROGRESS"],
    unknown_id: "999999999",
    required: &[],
};

struct Account {
    sandbox: Sandbox,
    platform: HubSpot,
}

fn sandbox(start: Timestamp) -> Sandbox {
    let sandbox = Sandbox::new(3, SandboxClock::starting_at(start));
    let mut world = sandbox.world();
    let key = Property::custom("salesforce_id", "Salesforce Id", "string").unique();
    world.hubspot.define(Object::Contact, key, start).unwrap();
    let score = Property::custom("score", "Score", "number");
    world.hubspot.define(Object::Contact, score, start).unwrap();
    let gone = world.hubspot.owners().last().unwrap().id.clone();
    assert!(world.hubspot.archive_owner(&gone, start));
    drop(world);
    sandbox
}

fn client(base: &str, http: Arc<dyn Http>) -> HubSpot {
    let tokens = StaticToken::new(&SecretString::from(PRIVATE_TOKEN));
    HubSpot::new(Settings::at(base.parse().unwrap()), http, Arc::new(tokens), 9)
}

impl Scene for Account {
    fn platform(&self) -> &dyn Platform {
        &self.platform
    }
    fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }
    fn fault_side(&self) -> FaultSide {
        FaultSide::HubSpot
    }
    fn names(&self) -> Names {
        NAMES
    }
    fn edit(&self, id: &str, field: &str, value: &str) {
        let now = self.sandbox.clock().now();
        let (id, values) = (id.parse().unwrap(), [(field, value)]);
        let account = &mut self.sandbox.world().hubspot;
        account.edit_as_user(Object::Contact, id, &values, FIRST_USER, now).unwrap();
    }
    fn delete(&self, id: &str) {
        let now = self.sandbox.clock().now();
        let account = &mut self.sandbox.world().hubspot;
        account.archive(Object::Contact, id.parse().unwrap(), FIRST_USER, now).unwrap();
    }
    fn merge(&self, winner: &str, loser: &str) {
        let now = self.sandbox.clock().now();
        let (winner, loser) = (winner.parse().unwrap(), loser.parse().unwrap());
        let account = &mut self.sandbox.world().hubspot;
        account.merge_as_user(Object::Contact, winner, loser, FIRST_USER, now).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract_in_process() {
    let sandbox = sandbox("2026-11-22T08:00:00Z".parse().unwrap());
    let http = Arc::new(InProcess::new(sandbox.hubspot()));
    let platform = client("https://api.hubapi.com", http);
    contract(&Account { platform, sandbox }).await;
}

#[tokio::test]
async fn keeps_the_contract_over_tcp() {
    let sandbox = sandbox(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 56));
    let serving = serve(sandbox.clone(), ServeOptions::default()).await.unwrap();
    let net: Arc<dyn Http> = Arc::new(Net::new(&NetSettings::default()).unwrap());
    let platform = client(&serving.hubspot_url(), net);
    contract(&Account { platform, sandbox }).await;
    serving.shutdown().await;
}

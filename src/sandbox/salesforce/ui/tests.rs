use http::Method;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::Conversion;
use crate::sandbox::salesforce::changes::ChangeKind;
use crate::sandbox::salesforce::id::Id;
use crate::sandbox::salesforce::refusal::Code;
use crate::sandbox::salesforce::rules::LeadFieldMap;
use crate::sandbox::salesforce::schema::Field;
use crate::sandbox::salesforce::testing::{Rig, map};
use crate::sandbox::salesforce::world::Org;

fn with<T>(rig: &Rig, work: impl FnOnce(&mut Org, jiff::Timestamp, Id) -> T) -> T {
    let now = rig.now();
    let mut world = rig.sandbox.world();
    let user = world.salesforce.staff.sales[0].clone();
    work(&mut world.salesforce, now, user)
}

#[tokio::test(start_paused = true)]
async fn a_queue_owns_what_it_supports_until_a_member_takes_it() {
    let rig = Rig::new();
    let (leads, calls) = with(&rig, |org, now, user| {
        (org.staff.queue.clone(), org.seed_queue(now, None, "Calls", &["Task"], &[user]))
    });
    let make = async |owner: &Id| {
        rig.call(Method::POST, "sobjects/Task", json!({"Subject": "Ring", "OwnerId": &**owner}))
            .await
    };
    let refused = make(&leads).await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.error(),
        ("INVALID_OPERATION".into(), "Queue not associated with this SObject type".into())
    );
    let task: Id = make(&calls).await.json()["id"].as_str().unwrap().into();
    assert_eq!(rig.value(&task, "OwnerId"), json!(&*calls));
    let stranger = rig.sandbox.world().salesforce.staff.sales[1].clone();
    let refused = with(&rig, |org, now, _| org.take_from_queue(now, &stranger, &task));
    assert_eq!(refused.unwrap_err().code, Code::InsufficientAccessOrReadonly);
    with(&rig, |org, now, user| org.take_from_queue(now, &user, &task)).unwrap();
    let user = rig.sandbox.world().salesforce.staff.sales[0].clone();
    assert_eq!(rig.value(&task, "OwnerId"), json!(&*user));
    let again = with(&rig, |org, now, user| org.take_from_queue(now, &user, &task));
    assert!(again.is_err(), "it is in no queue any more");
}

#[tokio::test(start_paused = true)]
async fn a_members_status_is_the_campaigns_or_else_its_default() {
    let rig = Rig::new();
    let campaign = rig.create("Campaign", json!({"Name": "Fair"})).await;
    let query = format!(
        "query?q=SELECT+Label,IsDefault+FROM+CampaignMemberStatus+WHERE+CampaignId='{campaign}'\
         +ORDER+BY+SortOrder"
    );
    let statuses = rig.get(&query).await.json()["records"].clone();
    assert_eq!((&statuses[0]["Label"], &statuses[0]["IsDefault"]), (&json!("Sent"), &json!(true)));
    assert_eq!(statuses[1]["Label"], json!("Responded"));
    let own = json!({"CampaignId": &*campaign, "Label": "Attended", "HasResponded": true});
    let attended = rig.create("CampaignMemberStatus", own).await;
    for (number, (sent, status, responded)) in [
        (json!("Responded"), "Responded", true),
        (json!("attended"), "Attended", true),
        (json!("Danced"), "Sent", false),
        (Value::Null, "Sent", false),
    ]
    .into_iter()
    .enumerate()
    {
        let lead = rig.lead(&format!("P{number}")).await;
        let member = json!({"CampaignId": &*campaign, "LeadId": &*lead, "Status": sent});
        let member = rig.create("CampaignMember", member).await;
        assert_eq!(rig.value(&member, "Status"), json!(status), "{sent}");
        assert_eq!(rig.value(&member, "HasResponded"), json!(responded), "{sent}");
    }
    let gone = with(&rig, |org, now, user| org.person_deletes(now, &user, &campaign));
    gone.unwrap();
    assert!(rig.sandbox.world().salesforce.record(&attended).unwrap().deleted_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_conversion_makes_everything_and_leaves_a_read_only_lead() {
    let rig = Rig::new();
    let lead = rig.lead("Ng").await;
    let task = rig.create("Task", json!({"Subject": "Ring", "WhoId": &*lead})).await;
    let campaign = rig.create("Campaign", json!({"Name": "Fair"})).await;
    let member =
        rig.create("CampaignMember", json!({"CampaignId": &*campaign, "LeadId": &*lead})).await;
    with(&rig, |org, now, _| {
        org.define_field(now, "Lead", Field::number("Score__c", "Score", 5, 0));
        org.define_field(now, "Contact", Field::number("Score__c", "Score", 5, 0));
        org.rules.lead_fields.push(LeadFieldMap {
            lead_field: "Score__c".to_owned(),
            object: "Contact".to_owned(),
            field: "Score__c".to_owned(),
        });
    });
    rig.call(
        Method::PATCH,
        &format!("sobjects/Lead/{lead}"),
        json!({"Score__c": 70, "City": "Oslo"}),
    )
    .await;
    rig.pass(60);
    let before = rig.sandbox.world().salesforce.changes.newest();
    let became =
        with(&rig, |org, now, user| org.convert_lead(now, &user, &lead, &Conversion::default()))
            .unwrap();
    let opportunity = became.opportunity.clone().unwrap();
    let expected = [
        (&lead, "Status", json!("Closed - Converted")),
        (&lead, "IsConverted", json!(true)),
        (&lead, "ConvertedDate", json!("2026-05-01")),
        (&lead, "ConvertedContactId", json!(&*became.contact)),
        (&lead, "ConvertedAccountId", json!(&*became.account)),
        (&lead, "ConvertedOpportunityId", json!(&*opportunity)),
        (&became.account, "Name", json!("Acme")),
        (&became.account, "BillingCity", json!("Oslo")),
        (&became.contact, "Email", json!("ng@example.com")),
        (&became.contact, "AccountId", json!(&*became.account)),
        (&became.contact, "Score__c", json!(70.0)),
        (&opportunity, "StageName", json!("Prospecting")),
        (&opportunity, "Probability", json!(10.0)),
        (&opportunity, "CloseDate", json!("2026-06-30")),
        (&opportunity, "IsClosed", json!(false)),
        (&task, "WhoId", json!(&*became.contact)),
        (&member, "ContactId", json!(&*became.contact)),
    ];
    for (id, field, value) in expected {
        assert_eq!(rig.value(id, field), value, "{field}");
    }
    let roles = rig.ids("SELECT Id FROM OpportunityContactRole WHERE IsPrimary = true").await;
    assert_eq!(roles.len(), 1);
    let order: Vec<(String, ChangeKind)> = rig
        .sandbox
        .world()
        .salesforce
        .changes
        .since(before)
        .filter(|c| matches!(&*c.object, "Account" | "Contact" | "Opportunity" | "Lead"))
        .map(|c| (c.object.to_string(), c.kind))
        .collect();
    let names: Vec<&str> = order.iter().map(|(o, _)| o.as_str()).collect();
    assert_eq!(names, ["Account", "Contact", "Opportunity", "Lead"]);
    assert_eq!(order[3].1, ChangeKind::Update);

    // From now on the lead is read-only, also as the person of a task.
    let edit =
        rig.call(Method::PATCH, &format!("sobjects/Lead/{lead}"), json!({"Title": "x"})).await;
    assert_eq!((edit.status, edit.error().0.as_str()), (400, "CANNOT_UPDATE_CONVERTED_LEAD"));
    let call = rig.call(Method::POST, "sobjects/Task", json!({"WhoId": &*lead})).await;
    assert_eq!(call.error().0, "CANNOT_UPDATE_CONVERTED_LEAD");
    let twice =
        with(&rig, |org, now, user| org.convert_lead(now, &user, &lead, &Conversion::default()));
    assert_eq!(twice.unwrap_err().code, Code::CannotUpdateConvertedLead);
    with(&rig, |org, now, user| org.close_opportunity(now, &user, &opportunity, true)).unwrap();
    assert_eq!(rig.value(&opportunity, "StageName"), json!("Closed Won"));
    assert_eq!(rig.value(&opportunity, "IsWon"), json!(true));
    assert_eq!(rig.value(&opportunity, "Probability"), json!(100.0));
}

#[tokio::test(start_paused = true)]
async fn a_conversion_into_what_exists_fills_only_what_is_empty() {
    let rig = Rig::new();
    let account = rig.create("Account", json!({"Name": "Acme Corp", "Phone": "1"})).await;
    let contact = rig
        .create("Contact", json!({"LastName": "Ng", "AccountId": &*account, "Title": "CEO"}))
        .await;
    let stranger = rig.create("Contact", json!({"LastName": "Other"})).await;
    let values = json!({"LastName": "Ng", "Company": "Acme", "Title": "Boss", "Phone": "2", "Email": "ng@example.com"});
    let lead = rig.create("Lead", values).await;
    let how = |contact: &Id| Conversion {
        account: Some(account.clone()),
        contact: Some(contact.clone()),
        no_opportunity: true,
        ..Conversion::default()
    };
    let wrong = with(&rig, |org, now, user| org.convert_lead(now, &user, &lead, &how(&stranger)));
    assert_eq!(wrong.unwrap_err().code, Code::InvalidCrossReferenceKey);
    assert_eq!(rig.value(&account, "Website"), Value::Null);
    assert_eq!(
        rig.value(&lead, "IsConverted"),
        json!(false),
        "a refused conversion changes nothing"
    );
    let became =
        with(&rig, |org, now, user| org.convert_lead(now, &user, &lead, &how(&contact))).unwrap();
    assert_eq!((became.contact, became.opportunity), (contact.clone(), None));
    assert_eq!(rig.value(&contact, "Title"), json!("CEO"));
    assert_eq!(rig.value(&contact, "Email"), json!("ng@example.com"));
    assert_eq!(rig.value(&account, "Phone"), json!("1"));
    let status =
        Conversion { status: Some("Open - Not Contacted".to_owned()), ..Conversion::default() };
    let other = rig.lead("Else").await;
    let refused = with(&rig, |org, now, user| org.convert_lead(now, &user, &other, &status));
    assert_eq!(refused.unwrap_err().code, Code::InvalidStatus);
}

#[tokio::test(start_paused = true)]
async fn a_merge_hands_over_children_and_names_the_master() {
    let rig = Rig::new();
    let (winner, loser) = (rig.lead("Winner").await, rig.lead("Loser").await);
    let task = rig.create("Task", json!({"Subject": "Ring", "WhoId": &*loser})).await;
    rig.pass(10);
    let values = map(json!({"Title": "CTO"}));
    with(&rig, |org, now, user| {
        org.merge(now, &user, &winner, std::slice::from_ref(&loser), &values)
    })
    .unwrap();
    assert_eq!(rig.value(&task, "WhoId"), json!(&*winner));
    assert_eq!(rig.value(&winner, "Title"), json!("CTO"));
    let soql =
        format!("queryAll?q=SELECT+Id,IsDeleted,MasterRecordId+FROM+Lead+WHERE+Id='{loser}'");
    let row = rig.get(&soql).await.json()["records"][0].clone();
    assert_eq!((&row["IsDeleted"], &row["MasterRecordId"]), (&json!(true), &json!(&*winner)));
    assert_eq!(rig.ids("SELECT Id FROM Lead").await, [winner.to_string()]);
    let itself = with(&rig, |org, now, user| {
        org.merge(now, &user, &winner, std::slice::from_ref(&winner), &Map::new())
    });
    assert_eq!(itself.unwrap_err().code, Code::InvalidRequest);
}

#[tokio::test(start_paused = true)]
async fn what_goes_into_the_bin_together_comes_back_together() {
    let rig = Rig::new();
    let account = rig.create("Account", json!({"Name": "Acme"})).await;
    let contact = rig.create("Contact", json!({"LastName": "Ng", "AccountId": &*account})).await;
    with(&rig, |org, now, user| org.person_deletes(now, &user, &account)).unwrap();
    assert_eq!(rig.value(&contact, "IsDeleted"), json!(true));
    with(&rig, |org, now, user| org.person_undeletes(now, &user, &account)).unwrap();
    assert_eq!(rig.value(&contact, "IsDeleted"), json!(false));
    assert!(with(&rig, |org, now, user| org.person_undeletes(now, &user, &account)).is_err());
    with(&rig, |org, now, user| org.person_hard_deletes(now, &user, &contact)).unwrap();
    assert_eq!(rig.get("queryAll?q=SELECT+Id+FROM+Contact").await.json()["totalSize"], json!(0));
    assert_eq!(rig.get(&format!("sobjects/Contact/{contact}")).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn activities_move_the_last_activity_and_no_stamp() {
    let rig = Rig::new();
    let lead = rig.lead("Ng").await;
    let stamp = rig.value(&lead, "SystemModstamp");
    let task = rig
        .create("Task", json!({"Subject": "x", "WhoId": &*lead, "ActivityDate": "2026-04-01"}))
        .await;
    assert_eq!(rig.value(&lead, "LastActivityDate"), Value::Null, "an open task is no activity");
    rig.pass(90);
    with(&rig, |org, now, user| org.complete_task(now, &user, &task)).unwrap();
    assert_eq!(rig.value(&lead, "LastActivityDate"), json!("2026-04-01"));
    assert_eq!(rig.value(&task, "CompletedDateTime"), json!("2026-05-01T08:01:30.000+0000"));
    let call = with(&rig, |org, now, user| org.log_call(now, &user, &lead, "Rang")).unwrap();
    assert_eq!(rig.value(&call, "IsClosed"), json!(true));
    assert_eq!(rig.value(&lead, "LastActivityDate"), json!("2026-05-01"));
    assert_eq!(rig.value(&lead, "SystemModstamp"), stamp);
    rig.call(Method::DELETE, &format!("sobjects/Task/{call}"), Value::Null).await;
    assert_eq!(rig.value(&lead, "LastActivityDate"), json!("2026-04-01"));
}

#[tokio::test(start_paused = true)]
async fn a_late_commit_is_stamped_early_and_seen_late() {
    let rig = Rig::new();
    let lead = rig.lead("Ng").await;
    rig.sandbox.world().salesforce.settings.late_commit = SignedDuration::from_secs(60);
    rig.pass(10);
    let title = map(json!({"Title": "CTO"}));
    with(&rig, |org, now, user| org.person_edits(now, &user, &lead, &title)).unwrap();
    let fresh = with(&rig, |org, now, user| {
        org.person_creates(now, &user, "Lead", &map(json!({"LastName": "New", "Company": "x"})))
    })
    .unwrap();
    let seen = async || {
        rig.query("SELECT Title, SystemModstamp FROM Lead ORDER BY SystemModstamp").await.json()
    };
    let before = seen().await;
    assert_eq!((&before["totalSize"], &before["records"][0]["Title"]), (&json!(1), &Value::Null));
    let newer = "SELECT Id FROM Lead WHERE SystemModstamp > 2026-05-01T08:00:05Z";
    assert_eq!(rig.ids(newer).await.len(), 0);
    // Another transaction holds the row.
    let locked =
        rig.call(Method::PATCH, &format!("sobjects/Lead/{lead}"), json!({"Title": "x"})).await;
    assert_eq!((locked.status, locked.error().0.as_str()), (400, "UNABLE_TO_LOCK_ROW"));
    assert_eq!(rig.get(&format!("sobjects/Lead/{fresh}")).await.status, 404);
    rig.pass(60);
    let after = seen().await;
    assert_eq!((&after["totalSize"], &after["records"][0]["Title"]), (&json!(2), &json!("CTO")));
    assert_eq!(
        after["records"][0]["SystemModstamp"],
        json!("2026-05-01T08:00:10.000+0000"),
        "stamped when written"
    );
    assert_eq!(rig.ids(newer).await.len(), 2);
    let world = rig.sandbox.world();
    let change = world.salesforce.changes.since(0).last().unwrap();
    assert_eq!(change.committed_at, rig.now().as_millisecond());
}

#[tokio::test(start_paused = true)]
async fn the_admin_door_does_what_the_methods_do() {
    let rig = Rig::new();
    let door = async |method: Method, path: &str, body: Value| {
        rig.send(
            method,
            &format!("/sandbox/salesforce/{path}"),
            &[("authorization", "")],
            &body.to_string(),
        )
        .await
    };
    let field = json!({"name": "Score__c", "label": "Score", "type": "double", "precision": 5});
    assert_eq!(door(Method::POST, "fields/lead", field).await.status, 200);
    let made = door(
        Method::POST,
        "records/Lead",
        json!({"user": "Mei Tanaka", "values": {"LastName": "Ng", "Company": "Acme", "Score__c": 5}}),
    )
    .await
    .json();
    let id = made["result"]["id"].as_str().unwrap().to_owned();
    let owner = rig.sandbox.world().salesforce.staff_named("Mei Tanaka").unwrap();
    assert_eq!(rig.value(&id, "OwnerId"), json!(&*owner));
    let converted =
        door(Method::POST, &format!("records/{id}/convert"), json!({"opportunity": false}))
            .await
            .json();
    assert_eq!(converted["result"]["opportunityId"], Value::Null);
    assert!(converted["result"]["contactId"].is_string());
    let refused =
        door(Method::PATCH, &format!("records/{id}"), json!({"values": {"Title": "x"}})).await;
    assert_eq!(refused.error().0, "CANNOT_UPDATE_CONVERTED_LEAD");
    let token =
        door(Method::POST, "sessions", json!({})).await.json()["result"]["access_token"].clone();
    let rig2 = Rig { sandbox: rig.sandbox.clone(), token: token.as_str().unwrap().to_owned() };
    assert_eq!(rig2.get("limits").await.status, 200);
    assert_eq!(door(Method::PATCH, "settings", json!({"late_commit_ms": 500})).await.status, 200);
    assert_eq!(door(Method::PATCH, "settings", json!({"nope": 1})).await.status, 400);
    assert_eq!(
        door(Method::PUT, "rules/lead-assignment", json!({"owner": "Inbound leads"})).await.status,
        200
    );
    assert!(rig.sandbox.world().salesforce.rules.lead_assignment.is_some());
    let calls = json!({"name": "Calls", "supports": ["Lead"], "members": ["Mei Tanaka"]});
    let calls = door(Method::POST, "queues", calls).await.json()["result"]["id"].clone();
    let lead = json!({"values": {"LastName": "Oh", "Company": "Oh", "OwnerId": calls}});
    let lead = door(Method::POST, "records/Lead", lead).await.json()["result"]["id"].clone();
    let lead = lead.as_str().unwrap();
    let take = format!("records/{lead}/take");
    assert_eq!(door(Method::POST, &take, json!({"user": "Amara Okafor"})).await.status, 400);
    assert_eq!(door(Method::POST, &take, json!({"user": "Mei Tanaka"})).await.status, 200);
    assert_eq!(rig.value(lead, "OwnerId"), json!(&*owner));
    assert_eq!(door(Method::GET, "nothing", json!({})).await.status, 404);
    let before = rig.sandbox.world().calls.total(crate::sandbox::fault::Side::Salesforce);
    door(Method::GET, "records/Lead", json!({})).await;
    let after = rig.sandbox.world().calls.total(crate::sandbox::fault::Side::Salesforce);
    assert_eq!(before, after, "the admin door is not counted");
}

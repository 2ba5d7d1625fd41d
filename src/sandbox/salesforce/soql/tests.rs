use serde_json::{Value, json};

use crate::sandbox::salesforce::schema::Field;
use crate::sandbox::salesforce::testing::{Rig, map};
use crate::sandbox::salesforce::world::Org;

/// Four leads, named by a letter, and a few records around them.
async fn people() -> Rig {
    let rig = Rig::new();
    {
        let now = rig.now();
        let mut world = rig.sandbox.world();
        let org = &mut world.salesforce;
        org.define_field(now, "Lead", Field::number("Score__c", "Score", 5, 0));
        org.define_field(now, "Lead", Field::text("Ext__c", "Ext", 20).external_id().unique());
        let queue = org.staff.queue.to_string();
        let mei = org.staff.sales[2].to_string();
        let write = crate::sandbox::salesforce::Write::by_person(now, &org.staff.sales[0].clone());
        let rows = [
            json!({"LastName": "Ash", "Company": "Acme", "Email": "Ash@Example.com", "Score__c": 10,
                   "Rating": "Hot", "OwnerId": mei, "Ext__c": "a-1"}),
            json!({"LastName": "Birch", "Company": "O'Neil", "Email": "birch@example.com", "Score__c": 30,
                   "Rating": "Cold", "OwnerId": queue}),
            json!({"LastName": "Cedar", "Company": "Acme", "Score__c": 20, "HasOptedOutOfEmail": true}),
            json!({"LastName": "Dogwood", "Company": "50% Off_Inc", "Rating": "Hot"}),
        ];
        for row in rows {
            org.create(&write, "Lead", &map(row)).unwrap();
        }
    }
    rig
}

async fn names(rig: &Rig, soql: &str) -> String {
    let answer = rig.query(soql).await;
    if answer.status != 200 {
        return answer.error().0;
    }
    let body = answer.json();
    let letters: Vec<String> = body["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["LastName"].as_str().unwrap()[..1].to_owned())
        .collect();
    letters.concat()
}

#[tokio::test(start_paused = true)]
async fn conditions() {
    let rig = people().await;
    let table = [
        ("LastName = 'ash'", "A"),
        ("LastName != 'ash'", "BCD"),
        ("Email = 'ASH@example.COM'", "A"),
        ("Email IN ('ash@example.com', 'birch@example.com')", "AB"),
        ("Email NOT IN ('ash@example.com')", "BCD"),
        ("Email = null", "CD"),
        ("Email != NULL", "AB"),
        ("Ext__c = 'A-1'", "A"),
        ("Company LIKE 'ac%'", "AC"),
        ("Company LIKE '%\\_inc'", "D"),
        ("Company LIKE '50\\%%'", "D"),
        ("Company = 'O\\'Neil'", "B"),
        ("NOT Company LIKE 'ac%'", "BD"),
        ("(NOT (Company = 'Acme')) AND Rating = 'Hot'", "D"),
        ("Score__c > 10", "BC"),
        ("Score__c >= 10 AND Score__c < 30.0", "AC"),
        ("Score__c < -1", ""),
        ("HasOptedOutOfEmail = true", "C"),
        ("Rating = 'Hot' OR Rating = 'Cold'", "ABD"),
        ("Rating = 'Hot' AND (Score__c = 10 OR Score__c = null)", "AD"),
        ("Owner.Name = 'Mei Tanaka'", "A"),
        ("Owner.Type = 'Queue'", "B"),
        ("Owner.Type = 'User'", "ACD"),
        ("Lead.LastName = 'Ash'", "A"),
        ("CreatedDate = TODAY", "ABCD"),
        ("CreatedDate > TODAY", ""),
        ("CreatedDate < TOMORROW AND CreatedDate >= LAST_N_DAYS:3", "ABCD"),
        ("CreatedDate != TODAY", ""),
        ("SystemModstamp >= 2026-05-01T08:00:00Z", "ABCD"),
        ("SystemModstamp > 2026-05-01T10:00:00+02:00", ""),
        ("SystemModstamp < 2026-05-01T10:00:01.500+0200", "ABCD"),
        ("Id IN (SELECT WhoId FROM Task)", ""),
        ("Id NOT IN (SELECT WhoId FROM Task)", "ABCD"),
        // Mistakes.
        ("Rating = 'Hot' OR Rating = 'Cold' AND Score__c = 1", "MALFORMED_QUERY"),
        ("Nope = 1", "INVALID_FIELD"),
        ("Owner.Nope = 'x'", "INVALID_FIELD"),
        ("Boss.Name = 'x'", "INVALID_FIELD"),
        ("CreatedDate > '2026-01-01'", "INVALID_FIELD"),
        ("Score__c = '10'", "INVALID_FIELD"),
        ("LastName = 10", "INVALID_FIELD"),
        ("Description = 'x'", "INVALID_FIELD"),
        ("Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("LastName = 'x", "MALFORMED_QUERY"),
        ("LastName IN ()", "MALFORMED_QUERY"),
        ("LastName == 'x'", "MALFORMED_QUERY"),
        ("LastName = 'a' LIMIT x", "MALFORMED_QUERY"),
        ("LastName = 'a' FOR VIEW", "MALFORMED_QUERY"),
    ];
    for (condition, expected) in table {
        let soql = format!("SELECT LastName FROM Lead WHERE {condition}");
        assert_eq!(names(&rig, &soql).await, expected, "{condition}");
    }
}

#[tokio::test(start_paused = true)]
async fn orders_limits_and_selections() {
    let rig = people().await;
    let table = [
        ("SELECT LastName FROM Lead ORDER BY LastName DESC", "DCBA"),
        ("select lastname from lead order by score__c", "DACB"),
        ("SELECT LastName FROM Lead ORDER BY Score__c ASC NULLS LAST", "ACBD"),
        ("SELECT LastName FROM Lead ORDER BY Score__c DESC NULLS LAST LIMIT 2", "BC"),
        ("SELECT LastName FROM Lead ORDER BY Rating NULLS LAST, LastName DESC", "BDAC"),
        ("SELECT LastName FROM Lead ORDER BY Owner.Name, LastName", "CDBA"),
        ("SELECT LastName FROM Lead ORDER BY Id LIMIT 2 OFFSET 1", "BC"),
        ("SELECT LastName FROM Lead LIMIT 0", ""),
        ("SELECT l.LastName FROM Lead l WHERE l.Rating = 'Hot' ORDER BY l.LastName", "AD"),
        ("SELECT LastName FROM Lead OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE"),
        ("SELECT LastName FROM Lead ORDER BY Description", "INVALID_FIELD"),
        ("SELECT LastName, LastName FROM Lead", "INVALID_FIELD"),
        ("SELECT LastName x FROM Lead", "MALFORMED_QUERY"),
        ("SELECT FIELDS(ALL) FROM Lead", "MALFORMED_QUERY"),
        ("SELECT FIELDS(ALL) FROM Lead ORDER BY Id LIMIT 200", "ABCD"),
        ("SELECT FIELDS(STANDARD) FROM Lead ORDER BY Id LIMIT 2", "AB"),
        ("SELECT LastName FROM Leads", "INVALID_TYPE"),
        ("SELECT LastName FROM", "MALFORMED_QUERY"),
        ("SELECT TYPEOF Owner WHEN User THEN Name END FROM Lead", "MALFORMED_QUERY"),
        ("SELECT LastName, COUNT(Id) FROM Lead", "MALFORMED_QUERY"),
        ("UPDATE Lead", "MALFORMED_QUERY"),
    ];
    for (soql, expected) in table {
        assert_eq!(names(&rig, soql).await, expected, "{soql}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_show_the_place() {
    let rig = people().await;
    let message = async |soql: &str| rig.query(soql).await.error().1;
    insta::assert_snapshot!(message("SELECT Id, Foo FROM Lead").await, @r"

    SELECT Id, Foo FROM Lead
               ^
    ERROR at Row:1:Column:12
    No such column 'Foo' on entity 'Lead'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names.
    ");
    insta::assert_snapshot!(message("SELECT Id FORM Lead").await, @r"

    SELECT Id FORM Lead
                   ^
    ERROR at Row:1:Column:16
    unexpected token: 'Lead'
    ");
    insta::assert_snapshot!(message("SELECT Id\nFROM Lead\nWHERE CreatedDate > '2026-01-01'").await, @r"

    WHERE CreatedDate > '2026-01-01'
          ^
    ERROR at Row:3:Column:7
    value of filter criterion for field 'CreatedDate' must be of type dateTime and should not be enclosed in quotes
    ");
}

#[tokio::test(start_paused = true)]
async fn aggregates() {
    let rig = people().await;
    let count = rig.query("SELECT COUNT() FROM Lead WHERE Rating = 'Hot'").await;
    assert_eq!(count.text, r#"{"totalSize":2,"done":true,"records":[]}"#);
    let rows = async |soql: &str| -> Vec<Value> {
        let answer = rig.query(soql).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let strip = |row: &Value| {
            let mut row = row.clone();
            assert_eq!(row["attributes"], json!({"type": "AggregateResult"}));
            row.as_object_mut().unwrap().remove("attributes");
            row
        };
        answer.json()["records"].as_array().unwrap().iter().map(strip).collect()
    };
    assert_eq!(
        rows("SELECT Rating r, COUNT(Id), MAX(Score__c) best FROM Lead GROUP BY Rating ORDER BY Rating NULLS LAST")
            .await,
        [
            json!({"r": "Cold", "expr0": 1, "best": 30.0}),
            json!({"r": "Hot", "expr0": 2, "best": 10.0}),
            json!({"r": null, "expr0": 1, "best": 20.0}),
        ]
    );
    assert_eq!(
        rows("SELECT Company FROM Lead GROUP BY Company HAVING COUNT(Id) > 1").await,
        [json!({"Company": "Acme"})]
    );
    assert_eq!(
        rows(
            "SELECT SUM(Score__c), AVG(Score__c), MIN(LastName), COUNT_DISTINCT(Company) FROM Lead"
        )
        .await,
        [json!({"expr0": 60.0, "expr1": 20.0, "expr2": "Ash", "expr3": 3})]
    );
    assert_eq!(
        rows("SELECT COUNT(Id) n, Owner.Name FROM Lead GROUP BY Owner.Name ORDER BY COUNT(Id) DESC LIMIT 1").await,
        [json!({"n": 2, "Name": "Amara Okafor"})]
    );
    assert_eq!(
        rows("SELECT COUNT(Id), SUM(Score__c) FROM Lead WHERE LastName = 'nobody'").await,
        [json!({"expr0": 0, "expr1": null})]
    );
}

#[tokio::test(start_paused = true)]
async fn parents_children_and_addresses_nest() {
    let rig = people().await;
    let account = rig.create("Account", json!({"Name": "Acme", "BillingCity": "Oslo"})).await;
    rig.create("Contact", json!({"LastName": "Ek", "AccountId": &*account})).await;
    rig.create("Contact", json!({"LastName": "Free"})).await;
    let answer = rig
        .query("SELECT LastName, Account.Name, Account.Owner.Alias FROM Contact ORDER BY LastName")
        .await;
    let shown = answer.text.replace(&*account, "ACC");
    let rows: Vec<Value> =
        serde_json::from_str::<Value>(&shown).unwrap()["records"].as_array().unwrap().clone();
    assert_eq!(
        rows[0]["Account"]["attributes"]["url"],
        json!("/services/data/v66.0/sobjects/Account/ACC")
    );
    assert_eq!(rows[0]["Account"].as_object().unwrap().keys().next().unwrap(), "attributes");
    assert_eq!(rows[0]["Account"]["Owner"]["Alias"], json!("user"));
    assert_eq!(rows[1]["Account"], Value::Null);
    let lead =
        rig.query("SELECT Owner.Name, Owner.Type FROM Lead WHERE LastName = 'Birch'").await.json();
    assert_eq!(lead["records"][0]["Owner"]["attributes"]["type"], json!("Name"));
    assert_eq!(lead["records"][0]["Owner"]["Type"], json!("Queue"));
    let nested = rig
        .query("SELECT BillingAddress, (SELECT LastName FROM Contacts), (SELECT Id FROM Opportunities) FROM Account")
        .await
        .json();
    let row = &nested["records"][0];
    assert_eq!(row["BillingAddress"]["city"], json!("Oslo"));
    assert_eq!(row["Contacts"]["totalSize"], json!(1));
    assert_eq!(row["Contacts"]["records"][0]["LastName"], json!("Ek"));
    assert_eq!(row["Opportunities"], Value::Null);
    let bad = rig.query("SELECT (SELECT Id FROM Nopes) FROM Account").await;
    assert_eq!(bad.error().0, "INVALID_TYPE");
}

#[tokio::test(start_paused = true)]
async fn columns_are_described_for_table_views() {
    let rig = people().await;
    let soql = "query?columns=true&q=SELECT+Id,Owner.Name,Score__c+FROM+Lead";
    let body = rig.get(soql).await.json();
    assert_eq!(body["entityName"], json!("Lead"));
    assert_eq!(body["idSelected"], json!(true));
    assert_eq!(body["groupBy"], json!(false));
    assert_eq!(body["keyPrefix"], json!("00Q"));
    let columns = body["columnMetadata"].as_array().unwrap();
    assert_eq!(columns[0]["columnName"], json!("Id"));
    assert_eq!(columns[1]["columnName"], json!("Owner"));
    assert_eq!(columns[1]["joinColumns"][0]["columnName"], json!("Name"));
    assert_eq!((&columns[2]["numberType"], &columns[2]["custom"]), (&json!(true), &json!(true)));
}

fn crowd(org: &mut Org, now: jiff::Timestamp, count: usize) {
    for at in 0..count {
        // Two hundred rows share each second, as a bulk load's do.
        let second = i64::try_from(at / 200).unwrap();
        let when = now.checked_add(jiff::SignedDuration::from_secs(second)).unwrap();
        let row = json!({"LastName": format!("P{at}"), "Company": "Crowd", "Email": format!("p{at}@example.com")});
        org.seed(when, "Lead", None, row);
    }
}

#[tokio::test(start_paused = true)]
async fn a_keyset_walks_a_crowd_without_scanning_it_anew() {
    const CROWD: usize = 30_000;
    let rig = Rig::new();
    let now = rig.now();
    crowd(&mut rig.sandbox.world().salesforce, now, CROWD);
    let began = std::time::Instant::elapsed;
    #[expect(clippy::disallowed_methods, reason = "how long it really takes is the question")]
    let start = std::time::Instant::now();
    let (mut stamp, mut id, mut seen) =
        ("2026-05-01T07:59:59Z".to_owned(), "000000000000000AAA".to_owned(), 0);
    loop {
        let soql = format!(
            "SELECT Id, SystemModstamp, Email FROM Lead WHERE (SystemModstamp > {stamp} OR (SystemModstamp = \
             {stamp} AND Id > '{id}')) ORDER BY SystemModstamp, Id LIMIT 500"
        );
        let body = rig.query(&soql).await.json();
        let rows = body["records"].as_array().unwrap();
        let Some(last) = rows.last() else { break };
        seen += rows.len();
        stamp = last["SystemModstamp"].as_str().unwrap().replace("+0000", "Z");
        id = last["Id"].as_str().unwrap().to_owned();
    }
    assert_eq!(seen, CROWD);
    for at in (0..CROWD).step_by(100) {
        let found =
            rig.ids(&format!("SELECT Id FROM Lead WHERE Email = 'P{at}@example.com'")).await;
        assert_eq!(found.len(), 1);
    }
    // A scan for each of the 361 queries would take far longer, even on a busy machine.
    assert!(began(&start) < std::time::Duration::from_secs(20), "{:?}", began(&start));
}

use super::*;

async fn stocked() -> Hub {
    let hub = Hub::new();
    for (n, (name, city, score)) in
        [("Ada", "Bonn", "5"), ("Bob", "ulm", "50"), ("Cyd", "", "7"), ("Dee", "Bonn Mitte", "")]
            .iter()
            .enumerate()
    {
        let email = format!("{}@example.com", name.to_lowercase());
        let id = hub.contact(json!({ "email": email, "firstname": name, "city": city })).await;
        let (id, now) = (id.parse().unwrap(), hub.now());
        let values =
            [("hubspotscore", *score), ("hs_lead_status", if n < 2 { "NEW" } else { "OPEN" })];
        hub.sandbox.world().hubspot.compute(Object::Contact, id, &values, now).unwrap();
        hub.advance(60);
    }
    hub
}

fn names(got: &Got) -> String {
    let names = results(got).iter().map(|at| at["properties"]["firstname"].as_str().unwrap());
    names.map(|name| &name[..1]).collect()
}

#[tokio::test(start_paused = true)]
async fn search_sees_a_write_late() {
    let hub = Hub::new();
    let by_email = |email: &str| json!({ "filterGroups": [{ "filters": [{ "propertyName": "email", "operator": "EQ", "value": email }] }] });
    let id = hub.contact(json!({ "email": "a@example.com" })).await;
    assert_eq!(hub.search(by_email("a@example.com")).await.body["total"], 0);
    hub.advance(9);
    assert_eq!(hub.search(by_email("a@example.com")).await.body["total"], 0);
    hub.advance(1);
    assert_eq!(hub.search(by_email("A@example.com")).await.body["total"], 1);
    hub.edit(&id, json!({ "email": "b@example.com" })).await;
    assert_eq!(
        hub.search(by_email("a@example.com")).await.body["total"],
        1,
        "still the old address"
    );
    hub.advance(10);
    assert_eq!(hub.search(by_email("a@example.com")).await.body["total"], 0);
    assert_eq!(hub.search(by_email("b@example.com")).await.body["total"], 1);
    hub.sandbox.world().faults.arm_order(&"search-lag".parse().unwrap()).unwrap();
    hub.edit(&id, json!({ "email": "c@example.com" })).await;
    hub.advance(69);
    assert_eq!(hub.search(by_email("c@example.com")).await.body["total"], 0);
    hub.advance(1);
    assert_eq!(hub.search(by_email("c@example.com")).await.body["total"], 1);
    hub.raw("DELETE", &format!("/crm/v3/objects/contacts/{id}"), "").await;
    assert_eq!(hub.search(json!({})).await.body["total"], 1, "search still shows the archived one");
    hub.advance(10);
    assert_eq!(hub.search(json!({})).await.body["total"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_lag_that_varies_never_shows_an_older_state_after_a_newer_one() {
    let hub = Hub::new();
    hub.sandbox.world().hubspot.settings.search_lag_varies = true;
    let mut made = Vec::new();
    for n in 0..30 {
        made.push(hub.contact(json!({ "email": format!("c{n}@example.com"), "city": "0" })).await);
    }
    let mut partial = 0;
    for round in 1..=20 {
        for id in &made {
            hub.edit(id, json!({ "city": round.to_string() })).await;
        }
        hub.advance(3);
        let got = hub.search(json!({ "limit": 200, "properties": ["city"] })).await;
        let seen: std::collections::BTreeSet<&str> =
            results(&got).iter().filter_map(|at| at["properties"]["city"].as_str()).collect();
        partial += usize::from(seen.len() > 1);
    }
    assert!(partial > 10, "rounds are seen out of order: {partial}");
    hub.advance(10);
    let now = hub.now();
    assert_eq!(hub.sandbox.world().hubspot.unsearchable(Object::Contact, now), 0);
    let got = hub.search(json!({ "limit": 200, "properties": ["city"] })).await;
    assert!(results(&got).iter().all(|at| at["properties"]["city"] == "20"));
}

#[tokio::test(start_paused = true)]
async fn every_operator_does_what_it_says() {
    let hub = stocked().await;
    let table = [
        (json!({ "propertyName": "city", "operator": "EQ", "value": "bonn" }), "A"),
        (json!({ "propertyName": "city", "operator": "NEQ", "value": "bonn" }), "BD"),
        (json!({ "propertyName": "city", "operator": "HAS_PROPERTY" }), "ABD"),
        (json!({ "propertyName": "city", "operator": "NOT_HAS_PROPERTY" }), "C"),
        (json!({ "propertyName": "city", "operator": "CONTAINS_TOKEN", "value": "bonn" }), "AD"),
        (json!({ "propertyName": "city", "operator": "CONTAINS_TOKEN", "value": "mit*" }), "D"),
        (json!({ "propertyName": "city", "operator": "NOT_CONTAINS_TOKEN", "value": "bonn" }), "B"),
        (json!({ "propertyName": "hubspotscore", "operator": "GT", "value": "7" }), "B"),
        (json!({ "propertyName": "hubspotscore", "operator": "GTE", "value": 7 }), "BC"),
        (json!({ "propertyName": "hubspotscore", "operator": "LT", "value": "50" }), "AC"),
        (
            json!({ "propertyName": "hubspotscore", "operator": "BETWEEN", "value": "6", "highValue": "50" }),
            "BC",
        ),
        (json!({ "propertyName": "hs_lead_status", "operator": "EQ", "value": "new" }), ""),
        (json!({ "propertyName": "hs_lead_status", "operator": "IN", "values": ["NEW"] }), "AB"),
        (
            json!({ "propertyName": "hs_lead_status", "operator": "NOT_IN", "values": ["NEW"] }),
            "CD",
        ),
        (
            json!({ "propertyName": "email", "operator": "IN", "values": ["ada@example.com", "dee@example.com"] }),
            "AD",
        ),
        (
            json!({ "propertyName": "email", "operator": "IN", "values": ["ada@example.com", "Ada@example.com"] }),
            "A",
        ),
        (
            json!({ "propertyName": "hs_object_id", "operator": "IN", "values": ["101000000002", "101000000002"] }),
            "B",
        ),
        (
            json!({ "propertyName": "createdate", "operator": "LTE", "value": "2026-11-02T08:01:00Z" }),
            "AB",
        ),
        (
            json!({ "propertyName": "lastmodifieddate", "operator": "GTE", "value": "1793606520000" }),
            "CD",
        ),
        (
            json!({ "propertyName": "lastmodifieddate", "operator": "BETWEEN", "value": "2026-11-02T08:01:00Z", "highValue": "2026-11-02T08:02:00Z" }),
            "BC",
        ),
        (
            json!({ "propertyName": "hs_object_id", "operator": "GT", "value": "101000000002" }),
            "CD",
        ),
        (json!({ "propertyName": "associations.company", "operator": "NOT_HAS_PROPERTY" }), "ABCD"),
    ];
    for (filter, expected) in table {
        let grouped =
            hub.search(json!({ "filterGroups": [{ "filters": [filter.clone()] }] })).await;
        assert_eq!(names(&grouped), expected, "{filter}");
        assert_eq!(grouped.body["total"], expected.len());
        let bare = hub.search(json!({ "filters": [filter.clone()], "limit": "100" })).await;
        assert_eq!(names(&bare), expected, "{filter}");
    }
}

#[tokio::test(start_paused = true)]
async fn groups_sorts_and_pages() {
    let hub = stocked().await;
    let either = json!({
        "filterGroups": [
            { "filters": [{ "propertyName": "firstname", "operator": "EQ", "value": "ada" },
                          { "propertyName": "city", "operator": "EQ", "value": "nowhere" }] },
            { "filters": [{ "propertyName": "firstname", "operator": "EQ", "value": "dee" }] },
            { "filters": [{ "propertyName": "hubspotscore", "operator": "EQ", "value": "7.0" }] },
        ],
        "sorts": [{ "propertyName": "firstname", "direction": "DESCENDING" }],
    });
    assert_eq!(names(&hub.search(either).await), "DC");
    assert_eq!(names(&hub.search(json!({ "sorts": ["-createdate"] })).await), "DCBA");
    assert_eq!(names(&hub.search(json!({ "sorts": ["hubspotscore"] })).await), "DACB");
    assert_eq!(names(&hub.search(json!({ "query": "bo" })).await), "B");
    let first = hub.search(json!({ "limit": 3 })).await;
    assert_eq!(
        (names(&first).as_str(), &first.body["paging"]),
        ("ABC", &json!({ "next": { "after": "3" } }))
    );
    let second = hub.search(json!({ "limit": 3, "after": "3" })).await;
    assert_eq!((names(&second).as_str(), second.body.get("paging")), ("D", None));
}

#[tokio::test(start_paused = true)]
async fn a_search_that_asks_too_much_is_refused() {
    let hub = Hub::new();
    let filter = json!({ "propertyName": "city", "operator": "EQ", "value": "x" });
    let groups = |groups: usize, filters: usize| json!({ "filterGroups": vec![json!({ "filters": vec![filter.clone(); filters] }); groups] });
    let table = [
        (groups(3, 6), 200),
        (groups(1, 7), 400),
        (groups(6, 1), 400),
        (groups(5, 4), 400),
        (json!({ "limit": 200 }), 200),
        (json!({ "limit": 201 }), 400),
        (json!({ "after": "9999" }), 200),
        (json!({ "after": "10000" }), 400),
        (json!({ "after": "next" }), 400),
        (json!({ "sorts": ["city", "email"] }), 400),
        (
            json!({ "filters": [{ "propertyName": "nonsense", "operator": "EQ", "value": "x" }] }),
            400,
        ),
        (json!({ "filters": [{ "propertyName": "city", "operator": "LIKE", "value": "x" }] }), 400),
        (json!({ "filters": [{ "propertyName": "city", "operator": "IN", "value": "x" }] }), 400),
        (
            json!({ "filters": [{ "propertyName": "createdate", "operator": "GT", "value": "0" }] }),
            500,
        ),
        (json!({ "query": "x".repeat(3000) }), 400),
    ];
    for (body, status) in table {
        assert_eq!(hub.search(body.clone()).await.status, status, "{body}");
    }
    let unknown = hub.post("/crm/v3/objects/butterflies/search", json!({})).await;
    assert_eq!(unknown.body["message"], "Unable to infer object type from: butterflies");
}
